"""Scenes to pictures and masks, many at once, at any size."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES, Scene, Thing

GRAIN = 0.012  # standard deviation, display-referred


def render(scenes: Sequence[Scene], size: int, grain: float = GRAIN) -> tuple[Tensor, list[Tensor]]:
    """Pictures of scenes.

    Args:
        scenes: B of them.
        size: Height and width, pixels.
        grain: Standard deviation of the noise laid over all, display-referred.

    Returns:
        (B, 3, size, size) float32, display-referred 0..1; and for each scene (things, size, size), how much of each
        pixel every thing covers, 0..1, those in front taken off those behind.
    """
    generators = [torch.Generator().manual_seed(s.seed) for s in scenes]
    y, x = _axes(size)
    light = torch.tensor([s.light for s in scenes]).view(-1, 1, 1)
    picture = _ground(scenes, generators, size)
    most = max(len(s.things) for s in scenes)
    covers: list[Tensor] = []
    for depth in range(most):
        things = [s.things[depth] if depth < len(s.things) else None for s in scenes]
        u, v, pixels = _local(things, x, y, size)
        kinds = torch.tensor([SHAPES.index(t.shape) if t else 0 for t in things])
        shadow = _cover(_distance(kinds, u - 0.25 * -light, v - 0.22), pixels * 0.22)
        picture = picture * (1 - 0.38 * shadow).unsqueeze(1)
        cover = _cover(_distance(kinds, u, v), pixels)
        picture = picture + cover.unsqueeze(1) * (_surface(things, kinds, u, v, light) - picture)
        covers = [*(c * (1 - cover) for c in covers), cover]
    noise = torch.stack([torch.randn(3, size, size, generator=g) for g in generators])
    picture = (picture + grain * noise).clamp(0, 1)
    masks = [torch.stack([covers[d][i] for d in range(len(s.things))]) for i, s in enumerate(scenes)]
    return picture, masks


def outline(shape: str, size: int) -> Tensor:
    """The mask of a shape that fills a square of `size` pixels, (size, size) 0..1."""
    y, x = _axes(size)
    u, v, pixels = _local([Thing(shape, "red", 0.5, 0.5, 1.0)], x, y, size)
    return _cover(_distance(torch.tensor([SHAPES.index(shape)]), u, v), pixels)[0]


def covers_of(things: Sequence[Thing], shape: Sequence[int]) -> Tensor:
    """How much of each pixel of a picture of `shape` (height, width) each thing covers alone, (B, height, width) 0..1.

    Of a thing half as high as wide, slanted edges are as soft as its upper and lower one.
    """
    height, width = shape
    y, x = _centres(height).view(1, -1, 1), _centres(width).view(1, 1, -1)
    u, v, _ = _local(things, x, y, 1)
    pixels = torch.tensor([min(t.halves[0] * width, t.halves[1] * height) for t in things]).view(-1, 1, 1)
    return _cover(_distance(torch.tensor([SHAPES.index(t.shape) for t in things]), u, v), pixels)


def _centres(size: int) -> Tensor:
    return (torch.arange(size) + 0.5) / size


def _axes(size: int) -> tuple[Tensor, Tensor]:
    centres = _centres(size)
    return centres.view(1, -1, 1), centres.view(1, 1, -1)


def _local(things: Sequence[Thing | None], x: Tensor, y: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates in which each thing reaches from -1 to 1, and its half width in pixels; what is missing, far off.

    Of a thing that is not as wide as it is high, half the shorter of both: edges along it are a little soft.
    """
    rows = [(t.x, t.y, *t.halves) if t else (-9.0, -9.0, 0.1, 0.1) for t in things]
    cx, cy, wide, high = (torch.tensor(column).view(-1, 1, 1) for column in zip(*rows, strict=True))
    return (x - cx) / wide, (y - cy) / high, torch.minimum(wide, high) * size


def _same_shape(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    return u + 0 * v, v + 0 * u


def _cover(distance: Tensor, pixels: Tensor) -> Tensor:
    return (0.5 - distance * pixels).clamp(0, 1)


def _distance(kinds: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Signed distance to the outline of each picture's shape, negative inside."""
    u, v = _same_shape(u, v)
    radius = (u * u + v * v).sqrt()
    a, b = u.abs(), v.abs()
    every = torch.stack(
        [
            radius - 1,
            torch.maximum(a, b) - 0.92,
            torch.maximum((1.9 * a - (v + 1)) / 2.147, v - 0.9),
            (radius - 0.72).abs() - 0.28,
            torch.minimum(torch.maximum(a - 0.34, b - 1), torch.maximum(a - 1, b - 0.34)),
        ]
    )
    return every[kinds, torch.arange(len(kinds))]


def _surface(things: Sequence[Thing | None], kinds: Tensor, u: Tensor, v: Tensor, light: Tensor) -> Tensor:
    """The lit colour of every thing at every pixel, (B, 3, H, W)."""
    u, v = _same_shape(u, v)
    radius = (u * u + v * v).sqrt().clamp(min=1e-3)
    round_ball = torch.stack([u, v, (1 - radius**2).clamp(min=0.02).sqrt()])
    tube = ((radius - 0.72) / 0.28).clamp(-1, 1)
    round_ring = torch.stack([tube * u / radius, tube * v / radius, (1 - tube**2).clamp(min=0.02).sqrt()])
    flat = torch.stack([0.25 * u, 0.35 * v, torch.ones_like(u)])
    cone = torch.stack([(2.1 * u / (1.15 + v)).clamp(-1, 1), torch.full_like(u, -0.2), torch.ones_like(u)])
    normals = torch.stack([round_ball, flat, cone, round_ring, flat])[kinds, :, torch.arange(len(kinds))]
    normals = normals / normals.norm(dim=1, keepdim=True)
    beam = torch.stack([0.75 * light, torch.full_like(light, -0.55), torch.full_like(light, 0.75)], 1)
    lit = (normals * beam / beam.norm(dim=1, keepdim=True)).sum(1).clamp(0, 1)
    paint = torch.tensor([COLOURS[t.colour] if t else (0.0, 0.0, 0.0) for t in things]).view(-1, 3, 1, 1)
    stripes = torch.tensor([bool(t and t.striped) for t in things]).view(-1, 1, 1, 1)
    band = (torch.sin(9.5 * v) > 0.25).unsqueeze(1) & stripes
    paint = torch.where(band, paint * 0.25 + 0.68, paint)
    lit = lit.unsqueeze(1)
    shaded: Tensor = (paint * (0.42 + 0.68 * lit) + 0.35 * lit**18).clamp(0, 1)
    return shaded


def _ground(scenes: Sequence[Scene], generators: Sequence[torch.Generator], size: int) -> Tensor:
    """A ground colour with clouds of two sizes in it, lighter from where the light comes."""
    base = torch.tensor([GROUNDS[s.ground] for s in scenes]).view(-1, 3, 1, 1)
    clouds = torch.zeros(len(scenes), 1, size, size)
    for cells, strength in ((4, 0.05), (9, 0.05)):
        coarse = torch.stack([torch.randn(1, cells, cells, generator=g) for g in generators])
        clouds = clouds + strength * interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    y, x = _axes(size)
    light = torch.tensor([s.light for s in scenes]).view(-1, 1, 1)
    slope = 1 + 0.12 * light * (x - 0.5) * 2 - 0.10 * (y - 0.5)
    return (base * (slope.unsqueeze(1) + clouds)).clamp(0, 1)
