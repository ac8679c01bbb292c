"""Pictures of a solved face for the review page. Needs the engine, inside functions only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.face.render import Camera
    from sfumato.face.rig import Rig

STRIP, PANEL, CLIP = (268, 330), (420, 520), (268, 330)  # pixels, width and height
TURNS = (-65.0, -32.0, 0.0, 32.0, 65.0)
FULL = 0.2  # centimetres: residual shown as red
ROUND = 1.35  # how much more than the markers is in the picture
REACH = 1.2  # centimetres over which a marker's residual colours the skin


@dataclass
class Stage:
    """A rig before the camera; frames are drawn one at a time. markers: (M, 3) on the neutral face."""

    rig: Rig
    markers: Tensor

    @cached_property
    def _drawn(self) -> Tensor:
        """The triangles to draw: those of the face, where the rig says what that is."""
        faces = self.rig.faces
        inner = getattr(self.rig, "regions", {}).get("face")
        if inner is None or not len(inner):
            return faces
        import torch

        inside = torch.zeros(len(self.rig.neutral), dtype=torch.bool)
        inside[inner] = True
        return faces[inside[faces].all(1)]

    def camera(self, size: tuple[int, int], yaw: float = 0.0) -> Camera:
        """A camera on the part of the head that has markers; the same one for every frame."""
        from sfumato.face.render import camera_on

        middle = (self.markers.amin(0) + self.markers.amax(0)) / 2
        return camera_on(middle + ROUND * (self.markers - middle), *size, yaw=yaw, pitch=4.0)

    def face(self, values: Tensor, size: tuple[int, int] = PANEL) -> Tensor:
        """The solved face from the front, (3, H, W)."""
        from sfumato.face.render import render

        return render(self.rig.mesh(values), self._drawn, self.camera(size))[0]

    def marked(
        self, values: Tensor, tracked: Tensor, bound: Tensor, seen: Tensor, size: tuple[int, int], yaw: float = 0.0
    ) -> Tensor:
        """The face with markers over it.

        Args:
            tracked, bound: Where each marker is and where the rig puts it, (M, 3) centimetres.
            seen: (M,) bool; the others were filled in.
        """
        from sfumato.face.render import render

        camera = self.camera(size, yaw)
        picture, depth = render(self.rig.mesh(values), self._drawn, camera)
        return self._dotted(picture, depth, camera, tracked, bound, seen)

    def _dotted(
        self, picture: Tensor, depth: Tensor, camera: Camera, tracked: Tensor, bound: Tensor, seen: Tensor
    ) -> Tensor:
        from torch import tensor, where

        from sfumato.face.overlay import BOUND, LOST, SEEN, dots, lines

        blue = tensor(BOUND).expand(len(bound), 3)
        picture = lines(picture, camera, tracked, bound, blue)
        picture = dots(picture, depth, camera, bound, blue, 1.6)
        return dots(picture, depth, camera, tracked, where(seen[:, None], tensor(SEEN), tensor(LOST)), 1.9)

    def small(
        self, values: Tensor, tracked: Tensor, bound: Tensor, seen: Tensor, residual: Tensor
    ) -> dict[str, Tensor]:
        """The face, markers over it, and the residual, for the clip: looked at once, painted three times."""
        from sfumato.face.overlay import heat, spread
        from sfumato.face.render import view

        camera, mesh = self.camera(CLIP), self.rig.mesh(values)
        looked = view(mesh, self._drawn, camera)
        face = looked.painted()
        return {
            "face": face,
            "markers": self._dotted(face, looked.depth, camera, tracked, bound, seen),
            "residual": looked.painted(heat(spread(residual, bound, mesh, REACH), FULL)),
        }

    def strip(self, values: Tensor, tracked: Tensor, bound: Tensor, seen: Tensor) -> Tensor:
        """The face turning, markers over it."""
        from torch import cat

        return cat([self.marked(values, tracked, bound, seen, STRIP, yaw) for yaw in TURNS], dim=2)

    def residual(self, values: Tensor, bound: Tensor, residual: Tensor, size: tuple[int, int] = PANEL) -> Tensor:
        """The face, coloured by how far its markers (M,) are from where the rig puts them; NaN where unseen."""
        from sfumato.face.overlay import heat, spread
        from sfumato.face.render import render

        mesh = self.rig.mesh(values)
        colours = heat(spread(residual, bound, mesh, REACH), FULL)
        return render(mesh, self._drawn, self.camera(size), colours)[0]


def jpeg(picture: Tensor, quality: int = 86) -> bytes:
    """A picture (3, H, W) as a file."""
    from sfumato.matte.sheet import encoded

    return encoded(picture, ".jpg", quality)


def evenly(count: int, most: int) -> Sequence[int]:
    """At most so many places of `count`, evenly spread, the first among them.

    >>> list(evenly(10, 4))
    [0, 3, 6, 9]
    """
    return range(0, count, max(1, -(-count // most)))
