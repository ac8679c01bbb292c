"""Moving the latent so that words look where they should: the losses, and the step along their gradient."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.director import Ask
from sfumato.place.hooks import Steer
from sfumato.place.sites import Site

Loss = Callable[[Site, Tensor], Tensor]
"""What is wrong with an attention's maps (R, F, H, P, K), a scalar."""


class Enough(Exception):  # noqa: N818
    """All attentions that count were seen: the rest of the network need not be run."""


@dataclass
class Losing(Steer):
    """Another steer, and a loss of the maps that come of it.

    inner: What is done to attention besides.
    loss: Of each attention's maps.
    counts: Which attentions count.
    most: After how many of them the pass may end; 0 for never.
    """

    inner: Steer
    loss: Loss
    counts: Callable[[Site], bool]
    most: int = 0
    found: list[Tensor] = field(default_factory=list)

    def bias(self, site: Site) -> Tensor | None:
        """See `Steer`."""
        return self.inner.bias(site)

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """See `Steer`."""
        return "maps" if site.kind in ("cross", "joint") and self.counts(site) else None

    def see(self, site: Site, shown: Tensor) -> None:
        """See `Steer`."""
        self.found.append(self.loss(site, shown))
        if self.most and len(self.found) >= self.most:
            raise Enough

    def words(self) -> Tensor | None:
        """See `Steer`."""
        return self.inner.words()


def gradient(latent: Tensor, node: Node, ask: Ask, losing: Losing) -> tuple[float, Tensor]:
    """The mean loss of a latent's attention, and its gradient, shape of latent.

    One pass of the network on the prompt alone, as far as the last attention that counts, and back.
    """
    losing.found.clear()
    with torch.enable_grad():
        asked = latent.detach().requires_grad_(True)
        with contextlib.suppress(Enough):
            ask(asked, node, losing)
        loss = torch.stack(losing.found).mean()
        (slope,) = torch.autograd.grad(loss, asked)
    return float(loss.detach()), slope


def stepped(latent: Tensor, slope: Tensor, rate: float) -> Tensor:
    """A step against a slope, `rate` times the latent's own root mean square long, and no colour shift: of zero mean
    in every channel.

    # Differs from layout guidance and BoxDiff, whose steps are as long as the slope times a constant: that constant is
    # another for every model, picture size and number of objects.
    """
    places = tuple(range(2, latent.dim()))
    slope = slope - slope.mean(places, keepdim=True)
    return latent - slope * (rate * latent.square().mean().sqrt() / slope.square().mean().sqrt().clamp(min=1e-20))
