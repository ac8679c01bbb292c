"""TrailBlazer at work on a walk: as published and as coded."""

from typing import Literal

from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.box import Box
from sfumato.place.director import Plain, Scene
from sfumato.place.hooks import Steer
from sfumato.place.phrases import trailing_slots
from sfumato.place.sites import Site
from sfumato.place.trailblazer import (
    PART,
    STRONG,
    TRAILING,
    WEAK,
    spatial_coded,
    spatial_published,
    temporal_coded,
    temporal_published,
)
from sfumato.place.window import active, until_part


class Editing(Steer):
    """The edits of attention in space and time. One subject after another, where there are several.

    # Differs from the released program: trailing slots begin after the last token, where it counts words by spaces; and
    # attention in time is edited at every size, where it is only for a batch of 65536.
    """

    def __init__(self, scene: Scene, coded: bool) -> None:
        self.scene, self.coded = scene, coded
        self.strong = STRONG * scene.knob
        self.weak = WEAK ** min(1.0, scene.knob)  # 1, which does nothing, at knob 0
        self.trailing = trailing_slots(scene.tokens, TRAILING)

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """See `Steer`."""
        return "maps" if site.kind in ("cross", "temporal") else None

    def see(self, site: Site, shown: Tensor) -> Tensor | None:
        """See `Steer`."""
        return self._in_space(site, shown) if site.kind == "cross" else self._in_time(site, shown)

    def _in_space(self, site: Site, shown: Tensor) -> Tensor:
        maps = shown.transpose(0, 1).reshape(site.frames, -1, site.height, site.width, site.slots)
        edit = spatial_coded if self.coded else spatial_published
        for number, actor in enumerate(self.scene.cast.actors):
            slots = (*actor.slots[0], *(self.trailing if number == 0 else ()))
            maps = edit(maps, self._boxes(number), slots, self.strong, self.weak)
        return maps.reshape(site.frames, *shown.shape[:1], *shown.shape[2:]).transpose(0, 1)

    def _in_time(self, site: Site, shown: Tensor) -> Tensor | None:
        boxes = self._boxes(0)
        rows, _, heads, frames, _ = shown.shape
        maps = shown.transpose(1, 2).reshape(rows, heads, site.height, site.width, frames, frames)
        if not self.coded:
            maps = temporal_published(maps, boxes, self.strong, self.weak)
        elif all(box is not None for box in boxes):
            maps = temporal_coded(maps, [box for box in boxes if box], self.strong, self.weak)
        else:
            return None
        return maps.reshape(rows, heads, -1, frames, frames).transpose(1, 2)

    def _boxes(self, number: int) -> list[Box | None]:
        return [group[0] if group else None for group in self.scene.cast.actors[number].boxes]


class TrailBlazer(Plain):
    """The edits in the first eighth of a walk's steps, 5 of 40."""

    coded = False

    def __init__(self, scene: Scene) -> None:
        self.until = until_part(scene.grid, PART)
        self.editing = Editing(scene, self.coded) if scene.knob else None

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        return self.editing if active(node, self.until) else None


class TrailBlazerCoded(TrailBlazer):
    """As the released program does it."""

    coded = True
