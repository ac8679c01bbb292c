"""Directed Diffusion as published at AAAI 2024 (v3): trailing slots weighted on line, so that words look into boxes.

Ma, Lahiri, Lewis, Leung, Kleijn, "Directed Diffusion: Direct Control of Object Placement through Attention Guidance",
AAAI 2024, arXiv 2302.13153v3. No program was released: what the paper leaves open is said here.
"""

from typing import Literal

import torch
from torch import Tensor

from sfumato.diffusion.ddim import increment
from sfumato.diffusion.schedule import Node
from sfumato.place.cast import Cast
from sfumato.place.director import Asked, Nudging, Plain, Scene, Sloped
from sfumato.place.gradient import Losing
from sfumato.place.hooks import Steer
from sfumato.place.phrases import trailing_slots
from sfumato.place.sites import Site
from sfumato.place.trailblazer import STRONG, WEAK
from sfumato.place.window import active, until_part

PART, ROUNDS, RATE = 0.2, 2, 0.5  # of the steps; of descent at each; of each: ours


def target(cast: Cast, site: Site, maps: Tensor, strong: float = STRONG, weak: float = WEAK) -> Tensor:
    """D(i) = A(i) W + S for every object's words: W = 1 in its box and c_w outside, S = c_s g in it and 0 outside.

    # c_w, c_s and sigma, half a box, are TrailBlazer's by the same authors: this paper does not print them.

    Args:
        cast: Who is where.
        site: The attention.
        maps: (R, F, H, P, K).

    Returns:
        (A, R, F, H, P, K), equal to maps but at each object's own slots.
    """
    masks, _, bumps = (x.flatten(2).to(maps.device) for x in cast.regions(site.height, site.width))
    spans = cast.spans(site.slots).to(maps.device)[:, None, :, None, None]  # (A, 1, F, 1, 1, K)
    inside, bump = (x[:, None, :, None, :, None] for x in (masks, bumps))
    wanted = maps * (inside + weak * (1 - inside)) + strong * bump * inside
    return maps * (1 - spans) + wanted * spans


class Weighted(Steer):
    """Trailing maps with the boxes' W and S, each times its weight; words' maps untouched. D is written nowhere.

    Each trailing slot gets W and S of all boxes together: where any box is, it is inside.
    """

    def __init__(self, cast: Cast, trailing: tuple[int, ...], weights: Tensor) -> None:
        self.cast, self.trailing, self.weights = cast, list(trailing), weights

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """See `Steer`."""
        return "maps" if site.kind == "cross" and self.trailing else None

    def see(self, site: Site, shown: Tensor) -> Tensor:
        """See `Steer`."""
        masks, _, bumps = (x.flatten(2).to(shown.device) for x in self.cast.regions(site.height, site.width))
        inside = masks.amax(0)[:, None, :, None]
        bump = (masks * bumps).amax(0)[:, None, :, None]
        trailing = shown[..., self.trailing] * (inside + WEAK * (1 - inside)) + STRONG * bump
        index = torch.tensor(self.trailing, device=shown.device)
        return shown.index_copy(-1, index, trailing * self.weights.to(shown))


class DirectedDiffusionOnline(Plain):
    """v3: at each of the first levels the weights a_t of the trailing slots are found by gradient descent on

        L(a_t) = sum_i || A(i)_{t-1}(A_t Diag(a_t)) - D(i) ||^2,

    the words' maps at the next level, after a step taken with the weighted trailing maps, against their targets.

    # Ours, for the paper does not say: weights begin at 1, or at the last level's; `ROUNDS` steps of normalised descent
    # of length `RATE`; the step to the next level is taken without guidance; D is of that next level's own maps.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.until = scene, until_part(scene.grid, PART)
        self.trailing = trailing_slots(scene.tokens, len(scene.tokens))
        self.weights = torch.ones(len(self.trailing))
        self.next = dict(zip(scene.grid.nodes[1:], scene.grid.nodes[:-1], strict=True))

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        if not active(node, self.until) or not self.trailing or not self.scene.knob:
            return None
        weights = 1 + self.scene.knob * (self.weights - 1) if self.scene.knob < 1 else self.weights
        return Weighted(self.scene.cast, self.trailing, weights)

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`. The latent stays; the weights are found."""
        if self.steer(node) is not None:
            for _ in range(ROUNDS):
                self.weights = yield from self._descended(latent, node)
        return latent

    def _descended(self, latent: Tensor, here: Node) -> Nudging:
        there, cast = self.next[here], self.scene.cast

        def missed(site: Site, maps: Tensor) -> Tensor:
            return (maps - target(cast, site, maps).detach()).square().sum() / maps.shape[2]

        weights = self.weights.clone().requires_grad_(True)
        answer = yield Asked(latent, here, Weighted(cast, self.trailing, weights))
        after = latent + increment(latent, answer, self.scene.prediction, here, there)
        losing = Losing(Steer(), missed, lambda site: True)
        yield Asked(after, there, losing)
        slope = yield Sloped(torch.stack(losing.found).sum(), weights)
        found: Tensor = weights - RATE * slope / slope.norm().clamp(min=1e-20)
        return found.detach()
