"""Moving the latent so that words look where they should: the losses, and the step along their gradient."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.cast import Cast
from sfumato.place.director import Asked, Sloped
from sfumato.place.hooks import Enough, Steer
from sfumato.place.sites import Site

Loss = Callable[[Site, Tensor], Tensor]
"""What is wrong with an attention's maps (R, F, H, P, K), a scalar."""


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


def gradient(latent: Tensor, node: Node, losing: Losing) -> Generator[Asked | Sloped, Tensor, tuple[float, Tensor]]:
    """Part of a `Nudging`: the mean loss of a latent's attention, and its gradient, shape of latent.

    One pass of the network on the prompt alone, and back.
    """
    losing.found.clear()
    asked = latent.detach().requires_grad_(True)
    yield Asked(asked, node, losing)
    losing.most = len(losing.found)  # none that counts comes after those
    loss = torch.stack(losing.found).mean()
    slope = yield Sloped(loss, asked)
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


def of_objects(cast: Cast, site: Site, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What losses look at, in maps (R, F, H, P, K).

    Returns:
        The attention of every place to each object's words, heads and words averaged, (R, A, F, P); the part of each
        place that is to show the object, (A, F, P); and the objects' strengths, (A, F).
    """
    shown = cast.regions(site.height, site.width).shown.flatten(2).to(maps.device)
    spans = cast.spans(site.slots).to(maps.device)
    words = torch.einsum("rfhpk,afk->rafp", maps, spans / spans.sum(-1, keepdim=True).clamp(min=1)) / maps.shape[2]
    return words, shown, torch.tensor([actor.strengths for actor in cast.actors], device=maps.device)
