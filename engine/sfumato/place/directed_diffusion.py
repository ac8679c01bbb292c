"""Directed Diffusion as its authors released it (v1): what is done to the attention of words and trailing slots.

Ma, Lahiri, Lewis, Leung, Kleijn, "Directed Diffusion: Direct Control of Object Placement through Attention Guidance",
arXiv 2302.13153v1, and the released program, which never went past that version. For the AAAI 2024 paper see
`directed_diffusion_online`.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.box import Box
from sfumato.place.director import Plain, Scene
from sfumato.place.hooks import Steer
from sfumato.place.phrases import trailing_slots
from sfumato.place.sites import Site
from sfumato.place.window import active, until_part

FADED = 0.01  # what all else is multiplied by
PART, SCALE, TRAILING = 0.2, 2.5, 10  # of the steps; s; slots: in the middle of the authors' own search

Span = tuple[int, int, int, int]
"""Left, top, right, bottom in whole places, right and bottom beyond."""


def places(box: Box, height: int, width: int) -> Span:
    """A box in whole places, as coded: every edge cut down to a whole number, at the window at most."""
    inside = box.inside()
    if inside is None:
        return 0, 0, 0, 0
    return int(inside.left * width), int(inside.top * height), int(inside.right * width), int(inside.bottom * height)


def density(height: int, width: int) -> Tensor:
    """The Gaussian that is added in a box of so many places, (height, width) float32: a density, not a window.

    g(y, x) = exp(-((y - m_y)^2 / (2 s_y^2) + (x - m_x)^2 / (2 s_x^2))) / (2 pi s_x s_y), with s half a side, m half a
    side cut to a whole number, and y running from 0 to `height` in `height` even steps, both ends among them: as coded.
    """
    if not height or not width:
        return torch.zeros(height, width)
    y, x = torch.linspace(0, height, height)[:, None], torch.linspace(0, width, width)
    sy, sx = height / 2, width / 2
    power = (y - height // 2) ** 2 / (2 * sy * sy) + (x - width // 2) ** 2 / (2 * sx * sx)
    return torch.exp(-power) / (2 * math.pi * sx * sy)


def edited_v1(
    maps: Tensor, regions: Sequence[tuple[Box, Sequence[int]]], gains: Sequence[float], level: float
) -> Tensor:
    """Directed Diffusion v1 as coded: the edit of one attention's maps.

    For each region in turn, in its box and for its slots (its words', and the trailing ones, which regions share),

        A <- A s level + g.

    Then all is multiplied by 0.01 but for what a mask lets pass: it starts empty, is joined with each region's box at
    its slots, and cut down there to the rows and columns of that box. So slots that are nobody's fade everywhere, and
    trailing slots pass in an earlier box only where it meets the rows or columns of the last. Rows do not sum to 1.

    # Differs from the released program in three things: float32 throughout, where its mask is in half precision; height
    # and width of their own, where it takes the root of their product; any number of heads, where it has 8.

    Args:
        maps: (..., height, width, slots), float32, rows summing to 1.
        regions: A box and its slots, in order.
        gains: s of each region.
        level: The noise level L_t, 9 to 0: see `noise_levels`.

    Returns:
        Edited maps, a new tensor.
    """
    height, width = maps.shape[-3:-1]
    out, passed = maps.clone(), torch.zeros(maps.shape[-3:], dtype=torch.bool, device=maps.device)
    for (box, slots), gain in zip(regions, gains, strict=True):
        left, top, right, bottom = places(box, height, width)
        chosen = torch.tensor(list(slots), device=maps.device)
        patch = out[..., top:bottom, left:right, chosen] * (gain * level)
        patch = patch + density(bottom - top, right - left).to(maps.device)[..., None]
        out[..., top:bottom, left:right, chosen] = patch
        inside, cross = (torch.zeros(height, width, dtype=torch.bool, device=maps.device) for _ in range(2))
        inside[top:bottom, left:right] = True
        cross[top:bottom] = True
        cross[:, left:right] = True
        passed[..., chosen] = (passed[..., chosen] | inside[..., None]) & cross[..., None]
    return out * torch.where(passed, 1.0, FADED)


def noise_levels(steps: int) -> list[float]:
    """L_t of each edited step: the times of a schedule of 10 in `steps` even ones, 9 down to 0; of a single step, 0."""
    return [9 * (steps - 1 - i) / (steps - 1) for i in range(steps)] if steps > 1 else [0.0] * steps


class Editing(Steer):
    """`edited_v1` at every cross attention, at one noise level."""

    def __init__(self, scene: Scene, level: float) -> None:
        self.scene, self.level = scene, level
        self.trailing = trailing_slots(scene.tokens, TRAILING)

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """See `Steer`."""
        return "maps" if site.kind == "cross" else None

    def see(self, site: Site, shown: Tensor) -> Tensor:
        """See `Steer`."""
        frames = []
        for frame in range(site.frames):
            maps = shown[:, frame].reshape(*shown.shape[:1], shown.shape[2], site.height, site.width, site.slots)
            regions = [
                (actor.boxes[frame][0], (*actor.slots[frame], *self.trailing))
                for actor in self.scene.cast.actors
                if actor.boxes[frame]
            ]
            gains = [SCALE * self.scene.knob] * len(regions)
            frames.append(edited_v1(maps, regions, gains, self.level).flatten(2, 3))
        return torch.stack(frames, 1)


class DirectedDiffusion(Plain):
    """v1 in the first steps of a walk.

    # Differs from the released program: trailing slots begin after the last token, where it counts words by spaces.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.until = scene, until_part(scene.grid, PART)
        nodes = [node for node in reversed(scene.grid.nodes[1:]) if active(node, self.until)]
        self.levels = dict(zip(nodes, noise_levels(len(nodes)), strict=True))

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        return Editing(self.scene, self.levels[node]) if node in self.levels and self.scene.knob else None
