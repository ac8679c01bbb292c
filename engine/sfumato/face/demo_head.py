"""A head made by formulas, ours to ship: an egg with a nose, sockets, lips that part and lids that shut.

Centimetres, Y up, Z forward, the actor's left at +X. Nothing of it comes from a scan or from anybody's face.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

WIDE, TALL, DEEP = 7.4, 11.0, 9.2  # half axes of the egg
EYE, EYES_AT, BALL = (3.15, 1.0), 1.55, 1.55  # middle of the left eye; half its width; radius of the eyeball
MOUTH, MOUTH_AT = -5.2, 2.5  # height of the line between the lips; half its width
BUMPS = (  # x, y, width, height, how far it stands out; of both sides where x is not 0
    (0.0, 0.6, 0.62, 1.3, 0.75),  # bridge of the nose
    (0.0, -1.5, 0.85, 1.15, 1.7),
    (0.0, -2.5, 0.95, 0.62, 1.35),  # tip
    (1.05, -2.75, 0.5, 0.42, 0.75),  # wings
    (3.15, 1.0, 1.7, 1.05, -1.05),  # sockets
    (1.6, 0.7, 0.6, 0.9, -0.35),
    (2.9, 2.75, 2.2, 0.62, 0.5),  # brow
    (4.5, -1.3, 1.7, 1.3, 0.5),  # cheekbone
    (0.0, -4.65, 1.75, 0.42, 0.62),  # lips
    (0.0, -5.8, 1.6, 0.46, 0.66),
    (0.0, -5.2, 2.3, 0.16, -0.28),
    (0.0, -6.75, 1.4, 0.42, -0.32),
    (0.0, -8.2, 1.7, 0.95, 0.85),  # chin
    (3.2, -5.4, 0.7, 1.2, -0.25),  # beside the mouth
)


@dataclass(frozen=True)
class Head:
    """The neutral head.

    points: (V, 3) float64. faces: (T, 3) int64. shut: (V, 3), the points with the eyes shut.
    above: (V,) float64: 1 above the line between lips or lids that a vertex is near, 0 below; told apart on the line.
    skin: (V,) bool; the others are eyeballs. ball: (V,) 1 the left eyeball's, 2 the right one's, 0 skin.
    """

    points: Tensor
    faces: Tensor
    above: Tensor
    skin: Tensor
    ball: Tensor
    shut: Tensor


def make_head(rows: int = 78, columns: int = 84) -> Head:
    """Build it; more rows and columns make a finer one."""
    up, around = _heights(rows), _turns(columns)
    y, turn = torch.meshgrid(up, around, indexing="ij")
    flat = _egg(y, turn)
    grid = torch.arange(rows * columns).reshape(rows, columns)
    split_rows = [int((up - level).abs().argmin()) for level in (MOUTH, EYE[1])]
    points, above = flat.reshape(-1, 3), (torch.full((rows * columns,), 1.0, dtype=torch.float64))
    above[(flat[..., 1] < _line(flat)).reshape(-1)] = 0.0
    lower = grid.clone()
    extra: list[Tensor] = []
    for row, half, middles in ((split_rows[0], MOUTH_AT, (0.0,)), (split_rows[1], EYES_AT, (EYE[0], -EYE[0]))):
        for middle in middles:
            inside = torch.nonzero(((flat[row, :, 0] - middle).abs() < half) & (flat[row, :, 2] > 0))[:, 0]
            lower[row, inside] = len(points) + len(extra) + torch.arange(len(inside))
            extra += grid[row, inside].tolist()
        above[grid[row]] = 1.0
    points = torch.cat([points, points[extra]])
    above = torch.cat([above, torch.zeros(len(extra), dtype=torch.float64)])
    faces = _faces(grid, lower, points)
    open_eyes = points + _open(points, above)
    balls, ball_faces = _balls(len(points))
    skin = torch.cat([torch.ones(len(points), dtype=torch.bool), torch.zeros(len(balls), dtype=torch.bool)])
    which = torch.cat([torch.zeros(len(points)), torch.ones(len(balls) // 2), torch.full((len(balls) // 2,), 2.0)])
    above = torch.cat([above, torch.zeros(len(balls), dtype=torch.float64)])
    shut, eyes_open = torch.cat([points, balls]), torch.cat([open_eyes, balls])
    return Head(eyes_open, torch.cat([faces, ball_faces]), above, skin, which, shut)


def bump(points: Tensor, x: float, y: float, wide: float, tall: float) -> Tensor:
    """1 at (x, y) on the front of the face, falling off like a bell; 0 behind the ears: (V,)."""
    front = torch.sigmoid((points[:, 2] - 1.0) * 1.5)
    return front * torch.exp(-(((points[:, 0] - x) / wide) ** 2 + ((points[:, 1] - y) / tall) ** 2) / 2)


def _heights(rows: int) -> Tensor:
    """Heights of the rows, close together at eyes and mouth, with a row on each of the lines that part."""
    fine = torch.linspace(-0.985 * TALL, 0.985 * TALL, 4001, dtype=torch.float64)
    weight = 1 + 2.6 * torch.exp(-(((fine - EYE[1]) / 1.3) ** 2)) + 2.6 * torch.exp(-(((fine - MOUTH) / 1.5) ** 2))
    share = weight.cumsum(0) / weight.sum()
    found = torch.stack([fine[int((share - s).abs().argmin())] for s in torch.linspace(0, 1, rows)])
    for level in (MOUTH, EYE[1]):
        found[int((found - level).abs().argmin())] = level
    return found.flip(0)


def _turns(columns: int) -> Tensor:
    """Angles about the vertical, 0 in front, close together there; the first is behind."""
    even = torch.linspace(-math.pi, math.pi, columns + 1, dtype=torch.float64)[:-1]
    return even - 0.62 * torch.sin(even)


def _egg(y: Tensor, turn: Tensor) -> Tensor:
    """The head's points from height and angle, (..., 3), eyes and mouth shut."""
    round_ = (1 - (y / (TALL * 1.0)) ** 2).clamp(min=0.0).sqrt()
    jaw = torch.sigmoid((-y - 4.5) / 1.6)
    x = WIDE * round_**0.8 * (1 - 0.24 * jaw) * turn.sin()
    forward = turn.cos()
    z = DEEP * round_**0.75 * forward * torch.where(forward < 0, 0.95 - 0.35 * jaw, torch.ones_like(jaw))
    points = torch.stack([x, y, z], -1)
    out = torch.zeros_like(y)
    for left, height, wide, tall, far in BUMPS:
        for side in (1.0, -1.0) if left else (1.0,):
            out = out + far * bump(points.reshape(-1, 3), side * left, height, wide, tall).reshape(y.shape)
    ear = torch.exp(-(((y + 0.3) / 1.6) ** 2) - ((z + 0.2) / 0.75) ** 2) * (x.abs() > 4)
    return torch.stack([x + 1.0 * ear * x.sign(), y, z + out], -1)


def _line(points: Tensor) -> Tensor:
    """The height of the line, lips' or lids', that decides whether a point is above or below."""
    y = points[..., 1]
    return torch.where(y > (EYE[1] + MOUTH) / 2, torch.full_like(y, EYE[1]), torch.full_like(y, MOUTH))


def _open(points: Tensor, above: Tensor) -> Tensor:
    """From shut eyes to open ones."""
    found = torch.zeros_like(points)
    for side in (1.0, -1.0):
        upper, lower = lid(points, above, side)
        found[:, 1] += 0.62 * upper - 0.22 * lower
    return found


def lid(points: Tensor, above: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """How much each vertex belongs to an upper and to a lower lid, (V,) each; `side` is 1 for the left eye."""
    away = (points[:, 0] - side * EYE[0]) / EYES_AT
    width = (1 - away**2).clamp(min=0.0)
    near = torch.exp(-(((points[:, 1] - EYE[1]) / 0.55) ** 2)) * width * (points[:, 2] > 0)
    return near * above, near * (1 - above)


def _faces(grid: Tensor, lower: Tensor, points: Tensor) -> Tensor:
    """Triangles between the rows: those under a line use its lower vertices. Both ends are closed."""
    rows, columns = grid.shape
    right = torch.roll(torch.arange(columns), -1)
    found = []
    for row in range(rows - 1):
        a, b, c, d = lower[row], grid[row + 1], grid[row + 1][right], lower[row][right]
        found += [torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)]
    for row, flip in ((0, False), (rows - 1, True)):
        first, ring = grid[row][:1].expand(columns - 2), grid[row]
        found.append(torch.stack([first, ring[2:], ring[1:-1]] if flip else [first, ring[1:-1], ring[2:]], 1))
    return torch.cat(found)


def _balls(start: int, rings: int = 12) -> tuple[Tensor, Tensor]:
    """Two eyeballs: points, and triangles whose first vertex is `start`."""
    up = torch.linspace(0.02, math.pi - 0.02, rings, dtype=torch.float64)
    turn = torch.arange(2 * rings, dtype=torch.float64) * math.pi / rings
    u, t = torch.meshgrid(up, turn, indexing="ij")
    ball = BALL * torch.stack([u.sin() * t.sin(), u.cos(), u.sin() * t.cos()], -1).reshape(-1, 3)
    grid = torch.arange(len(ball)).reshape(rings, 2 * rings)
    right = torch.roll(torch.arange(2 * rings), -1)
    quads = [(grid[r], grid[r + 1], grid[r + 1][right], grid[r][right]) for r in range(rings - 1)]
    faces = torch.cat([t for a, b, c, d in quads for t in (torch.stack([a, b, c], 1), torch.stack([a, c, d], 1))])
    places = [torch.tensor([side * EYE[0], EYE[1] + 0.05, eye_depth()], dtype=torch.float64) for side in (1, -1)]
    both = torch.cat([ball + place for place in places])
    return both, torch.cat([faces, faces + len(ball)]) + start


def eye_depth() -> float:
    """How far forward the middle of an eyeball is."""
    corner = _egg(torch.tensor([EYE[1]], dtype=torch.float64), torch.tensor([0.46], dtype=torch.float64))
    return float(corner[0, 2]) - BALL - 0.1
