"""A face drawn in software, for review pages on machines without a GPU or a window: triangles, depth, one soft light.

Display-coded pictures (3, H, W) in 0..1 on the paper of our pages. Points are centimetres, Y up; the camera is so far
away that nothing gets smaller with distance, so that a length on the picture is a length on the face.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PAPER, CLAY = 0.141, (0.72, 0.66, 0.61)
LIGHTS = (((-0.35, 0.45, 0.82), 0.72), ((0.75, 0.1, 0.45), 0.24))  # direction to each light, and its strength
AMBIENT = 0.12
SMOOTH = 2  # samples a pixel, along each side
_FAR = 1 << 29  # depth steps within which a face lies


@dataclass(frozen=True)
class Camera:
    """Where a face is seen from.

    centre: The point in the middle of the picture, (3,) centimetres. scale: pixels a centimetre. width, height: pixels.
    yaw: Degrees the head is turned, its left side towards us above 0. pitch: Degrees it nods towards us.
    """

    centre: Tensor
    scale: float
    width: int
    height: int
    yaw: float = 0.0
    pitch: float = 0.0

    def project(self, points: Tensor) -> Tensor:
        """(..., 3) centimetres as pixels from the left, pixels from the top, and centimetres towards the viewer."""
        turned = (points - self.centre.to(points)) @ _turn(self.yaw, self.pitch).to(points).T
        x = self.width / 2 + turned[..., 0] * self.scale
        y = self.height / 2 - turned[..., 1] * self.scale
        return torch.stack([x, y, turned[..., 2]], dim=-1)


def camera_on(points: Tensor, width: int, height: int, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    """A camera that has all points (V, 3) in the picture, with the same scale whichever way the head is turned."""
    low, high = points.amin(0), points.amax(0)
    centre = (low + high) / 2
    around = float((points - centre)[:, [0, 2]].norm(dim=1).max())
    tall = float((high - low)[1]) / 2
    scale = 0.94 * min(width / 2 / max(around, 1e-6), height / 2 / max(tall, 1e-6))
    return Camera(centre, scale, width, height, yaw, pitch)


@dataclass(frozen=True)
class View:
    """A mesh before a camera, to be painted in several ways: what of it is seen where.

    depth: (H, W) centimetres towards the viewer, -inf where there is paper. The others are of the fine picture's
    covered pixels: their places, the corners of the triangle there with their weights, the light on it.
    """

    depth: Tensor
    size: tuple[int, int]
    where: Tensor
    corners: Tensor
    weights: Tensor
    light: Tensor

    def painted(self, colours: Tensor | None = None) -> Tensor:
        """The picture (3, H, W); `colours` (V, 3) in 0..1 are each vertex's own, default clay."""
        height, width = self.size
        if colours is None:
            ink = torch.tensor(CLAY, dtype=torch.float32)
        else:
            ink = (colours.float()[self.corners] * self.weights[..., None]).sum(1)
        canvas = torch.full((height * width, 3), PAPER, dtype=torch.float32)
        canvas[self.where] = ((self.light[:, None] * ink).clamp(0, 1)) ** (1 / 1.6)
        return functional.avg_pool2d(canvas.T.reshape(1, 3, height, width), SMOOTH)[0].float()


def view(vertices: Tensor, faces: Tensor, camera: Camera) -> View:
    """Look at a mesh.

    Args:
        vertices: (V, 3) centimetres.
        faces: (T, 3) int64, counter-clockwise from outside; what faces away is not drawn.
    """
    vertices = vertices.detach().double()
    fine = Camera(camera.centre, camera.scale * SMOOTH, camera.width * SMOOTH, camera.height * SMOOTH,
                  camera.yaw, camera.pitch)  # fmt: skip
    seen = fine.project(vertices).float()  # a hundredth of a pixel is enough, and twice as fast
    triangle, where, weights = _visible(seen, faces, fine)
    corners = faces[triangle]
    normals = (vertex_normals(vertices, faces) @ _turn(camera.yaw, camera.pitch).double().T).float()
    normal = functional.normalize((normals[corners] * weights[..., None]).sum(1), dim=1)
    depth = torch.full((fine.height * fine.width,), -math.inf, dtype=torch.float32)
    depth[where] = (seen[corners, 2] * weights).sum(1)
    nearest = functional.max_pool2d(depth.reshape(1, 1, fine.height, fine.width), SMOOTH)[0, 0].float()
    return View(nearest, (fine.height, fine.width), where, corners, weights, _light(normal))


def render(vertices: Tensor, faces: Tensor, camera: Camera, colours: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Draw a mesh once: the picture (3, H, W) and the depth (H, W); see `view` and `View.painted`."""
    seen = view(vertices, faces, camera)
    return seen.painted(colours), seen.depth


def _visible(seen: Tensor, faces: Tensor, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """For every covered pixel: its triangle, its place in the picture, and the corners' weights (P, 3) there.

    Every triangle offers the pixels of its own box; of those inside it the nearest one wins a pixel.
    """
    a, b, c = (seen[faces[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    corners = torch.stack([a, b, c], dim=1)[..., :2]
    size = torch.tensor([camera.width, camera.height], dtype=torch.float32)
    low = corners.amin(1).floor().clamp(min=0)
    high = torch.minimum(corners.amax(1).ceil(), size)
    span = (high - low).clamp(min=0).long()
    front = torch.nonzero((area < 0) & (span > 0).all(1))[:, 0]  # y runs down, so outside is clockwise
    counts = span[front].prod(1)
    which = front.repeat_interleave(counts)
    nth = torch.arange(len(which)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    x = low[which, 0].long() + nth % span[which, 0]
    y = low[which, 1].long() + nth // span[which, 0]
    weights = _weights(torch.stack([x, y], dim=1) + 0.5, corners[which], area[which])
    inside = (weights >= -1e-5).all(1)
    which, x, y, weights = which[inside], x[inside], y[inside], weights[inside]
    depth = (seen[faces[which], 2] * weights).sum(1)
    near = depth.max() - depth if len(depth) else depth
    steps = (near / near.max().clamp(min=1e-9) * _FAR).long() if len(depth) else depth.long()
    place = y * camera.width + x
    order = steps * (1 << 32) + torch.arange(len(which))
    best = torch.full((camera.width * camera.height,), torch.iinfo(torch.int64).max)
    best.scatter_reduce_(0, place, order, "amin")
    where = torch.nonzero(best < torch.iinfo(torch.int64).max)[:, 0]
    winner = best[where] % (1 << 32)
    return which[winner], where, weights[winner]


def _weights(point: Tensor, corners: Tensor, area: Tensor) -> Tensor:
    """Barycentric weights (N, 3) of pixels (N, 2) in triangles (N, 3, 2)."""
    a, b, c = corners.unbind(1)

    def twice(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])

    return torch.stack([twice(point, b, c), twice(a, point, c), twice(a, b, point)], dim=1) / area[:, None]


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals, outwards, at the vertices (V, 3), each of the triangles (T, 3) counting by its area."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    flat = torch.linalg.cross(b - a, c - a)
    found = torch.zeros_like(vertices)
    for corner in range(3):
        found.index_add_(0, faces[:, corner], flat)
    return functional.normalize(found, dim=1)


def _light(normal: Tensor) -> Tensor:
    """Light on a surface that faces `normal` (N, 3), as the viewer has it."""
    found = torch.full_like(normal[:, 0], AMBIENT)
    for direction, strength in LIGHTS:
        towards = functional.normalize(torch.tensor(direction, dtype=normal.dtype), dim=0)
        found = found + strength * ((normal @ towards) * 0.5 + 0.5) ** 2
    return found


def _turn(yaw: float, pitch: float) -> Tensor:
    """The rotation (3, 3) of a head that is turned, then nods."""
    y, p = math.radians(yaw), math.radians(pitch)
    about_y = torch.tensor([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_x = torch.tensor([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    return (about_x @ about_y).double()
