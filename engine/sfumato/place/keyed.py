"""Prompts that turn into one another over a clip."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context, Embedder
from sfumato.place.cast import moments
from sfumato.place.hooks import Steer
from sfumato.place.sites import Site
from sfumato.place.staging import Staging


@dataclass(frozen=True)
class Keyed(Steer):
    """Another steer, and words for each frame.

    inner: What is done to attention besides.
    told: (F, K, C), the words of each frame.
    """

    inner: Steer
    told: Tensor

    def bias(self, site: Site) -> Tensor | None:
        """See `Steer`."""
        return self.inner.bias(site)

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """See `Steer`."""
        return self.inner.wants(site)

    def see(self, site: Site, shown: Tensor) -> Tensor | None:
        """See `Steer`."""
        return self.inner.see(site, shown)

    def words(self) -> Tensor | None:
        """See `Steer`."""
        return self.told


def keyed_words(
    embedder: Embedder, staging: Staging, first: int, last: int, frames: int
) -> tuple[Context, Tensor | None]:
    """The context of a clip, and the words of each frame of its latent where they are not all the same.

    Between two keys, y_f = (1 - a) y_before + a y_after: Ma, Lewis, Kleijn, "TrailBlazer", 2024, section 3.3. A slot is
    shown to the network where any frame has a word in it.
    """
    parts = [staging.worded(moment) for moment in moments(first, last, frames)]
    prompts = list(dict.fromkeys(prompt for before, after, _ in parts for prompt in (before, after)))
    made = {prompt: embedder([prompt]) for prompt in prompts}
    context = made[parts[0][0]]
    if len({(before, part) if part == 0 else (before, after, part) for before, after, part in parts}) == 1:
        mixed = _mixed(made, *parts[0])
        return context._replace(tokens=mixed, mask=_any_mask(made)), None
    words = torch.cat([_mixed(made, *part) for part in parts])
    return context._replace(mask=_any_mask(made)), words


def _mixed(made: dict[str, Context], before: str, after: str, part: float) -> Tensor:
    return made[before].tokens if part == 0 else torch.lerp(made[before].tokens, made[after].tokens, part)


def _any_mask(made: dict[str, Context]) -> Tensor | None:
    masks = [context.mask for context in made.values() if context.mask is not None]
    return torch.stack(masks).any(0) if masks else None
