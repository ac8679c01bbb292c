"""Peers that move the latent and leave attention alone: layout guidance and BoxDiff."""

import math

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.cast import Cast
from sfumato.place.director import Nudging, Plain, Scene
from sfumato.place.gradient import Losing, gradient, of_objects
from sfumato.place.hooks import Steer
from sfumato.place.sites import Site
from sfumato.place.window import active, until_part


class LayoutGuidance(Plain):
    """Chen, Laina, Vedaldi, "Training-Free Layout Control with Cross-Attention Guidance", WACV 2024, backward guidance.

    In the first 10 of 51 steps up to five times, until the loss is below 0.2: z <- z - sigma^2 30 dE/dz, with E of
    `spread`, and sigma the noise over the signal.

    # Differs from the paper: every cross attention counts, where it takes the middle and the first of the way up: a
    # transformer has neither.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.until = scene, until_part(scene.grid, 10 / 51)
        self.losing = Losing(Steer(), lambda site, maps: spread(scene.cast, site, maps), lambda site: True)

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        if not active(node, self.until) or not self.scene.knob:
            return latent
        for _ in range(5):
            loss, slope = yield from gradient(latent, node, self.losing)
            if loss < 0.2:
                break
            latent = latent - slope * (30 * self.scene.knob * node.sigma**2)
        return latent


def spread(cast: Cast, site: Site, maps: Tensor) -> Tensor:
    """How much of each object's attention falls outside its box: the mean over objects and frames of

        E = (1 - sum_p v_o(p) A_o(p) / sum_p A_o(p))^2,

    A_o(p) the attention of place p to o's words, heads and words averaged: the paper's eq. (1).

    # Differs from the paper: v_o, the box less nearer objects' boxes, by area, stands for the box; objects that are not
    # to be seen count with all of their attention.
    """
    words, shown, strengths = of_objects(cast, site, maps)
    outside = 1 - (words * shown).sum(-1) / words.sum(-1).clamp(min=1e-12)
    return (outside.square() * strengths).mean()


class BoxDiff(Plain):
    """Xie et al., "BoxDiff: Text-to-Image Synthesis with Training-Free Box-Constrained Diffusion", ICCV 2023.

    In the first half of the steps once: z <- z - 20 sqrt(scale) dL/dz, scale falling from 1 to 0.5 over the walk, L of
    `constrained`.

    # Differs from the released program: without its inner loops at three steps, which look for thresholds that were
    # set for Stable Diffusion; the maps are averaged over all attentions of the largest grid of at most 16 places.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.until, self.done = scene, until_part(scene.grid, 0.5), 0
        counts = lambda site: max(site.height, site.width) <= 16  # noqa: E731
        self.losing = Losing(Steer(), lambda site, maps: constrained(scene.cast, site, maps), counts)

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        if not active(node, self.until) or not self.scene.knob:
            return latent
        scale = math.sqrt(1 - 0.5 * self.done / self.scene.grid.steps)
        self.done += 1
        _, slope = yield from gradient(latent, node, self.losing)
        return latent - slope * (20 * self.scene.knob * scale)


def constrained(cast: Cast, site: Site, maps: Tensor) -> Tensor:
    """BoxDiff's three constraints, for each object and frame, on m = softmax(100 A) over the words' slots:

    inside: 1 - mean of the highest fifth of m inside the box;
    outside: mean of the highest fifth of m outside;
    corners: |m projected by its highest on rows and columns - the box's projection|, at rows and columns within one
    place of the box's edges, averaged.
    """
    words = cast.words[0]
    shares = (100 * maps[..., list(words)].mean(2)).softmax(-1)  # (R, F, P, words)
    losses = []
    for number, actor in enumerate(cast.actors):
        mask = cast.regions(site.height, site.width).masks[number].to(maps.device)
        for frame in range(site.frames):
            if not actor.boxes[frame]:
                continue
            columns = [words.index(slot) for slot in actor.slots[frame]]
            found = shares[:, frame, :, columns].mean(-1).reshape(-1, site.height, site.width)
            inside = mask[frame] >= min(0.5, float(mask[frame].max()))
            losses.append(1 - _highest(found[:, inside]) + _highest(found[:, ~inside]) + _corners(found, inside))
    return torch.stack(losses).sum() if losses else maps.sum() * 0


def _highest(values: Tensor) -> Tensor:
    """The mean of the highest fifth of (R, N)."""
    if not values.shape[1]:
        return values.sum()
    return values.topk(max(1, int(0.2 * values.shape[1])), -1).values.mean()


def _corners(found: Tensor, inside: Tensor) -> Tensor:
    losses = []
    for axis in (0, 1):
        edge = inside.amax(axis).float()
        near = torch.zeros_like(edge, dtype=torch.bool)
        for place in (edge.diff().abs() > 0).nonzero().flatten().tolist():
            near[place : place + 2] = True
        near = near if bool(near.any()) else torch.ones_like(near)
        losses.append((found.amax(1 + axis) - edge)[:, near].abs().mean())
    return torch.stack(losses).sum()
