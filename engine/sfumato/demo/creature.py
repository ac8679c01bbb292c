"""A small furred creature made of ellipsoids and strands: hair to pull a matte from, drawn by our own code.

Units: frame heights. x to the right, y down, z towards the camera; the centre of the frame is 0, 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RUST, CREAM, SOOT = (0.52, 0.155, 0.030), (0.82, 0.62, 0.40), (0.022, 0.016, 0.015)
BEHIND = np.array([[0.84, -0.40, -0.37], [-0.90, -0.20, -0.38]])  # towards the two lights behind it
HEAD_PIVOT = np.array([0.0, 0.10, 0.0])


@dataclass(frozen=True)
class Part:
    """One ellipsoid and the coat it wears.

    centre, radii: Frame heights. roll: Degrees around z.
    hair: Length of its strands. comb: Where the coat is brushed towards, added to the surface normal.
    share: Strands per unit of surface against the others.
    """

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hair: float
    comb: tuple[float, float, float]
    share: float = 1.0
    roll: float = 0.0
    head: bool = True


PARTS = (
    Part("shoulders", (0.0, 0.46, -0.10), (0.37, 0.27, 0.17), 0.085, (0, 0.9, 0.1), 0.75, head=False),
    Part("chest", (0.0, 0.27, -0.02), (0.19, 0.26, 0.16), 0.090, (0, 1.0, 0.1), 0.9, head=False),
    Part("ruff", (0.0, 0.08, 0.01), (0.18, 0.125, 0.13), 0.105, (0, 1.1, 0.1), 1.1, head=False),
    Part("ear left", (-0.122, -0.290, -0.02), (0.052, 0.118, 0.030), 0.032, (0, -0.8, 0.0), 2.2, roll=-17),
    Part("ear right", (0.122, -0.290, -0.02), (0.052, 0.118, 0.030), 0.032, (0, -0.8, 0.0), 2.2, roll=17),
    Part("skull", (0.0, -0.115, 0.0), (0.168, 0.150, 0.150), 0.040, (0, -0.5, -0.6), 1.5),
    Part("cheek left", (-0.120, -0.055, 0.015), (0.080, 0.066, 0.075), 0.088, (-0.6, 0.9, -0.1), 1.6),
    Part("cheek right", (0.120, -0.055, 0.015), (0.080, 0.066, 0.075), 0.088, (0.6, 0.9, -0.1), 1.6),
    Part("muzzle", (0.0, -0.050, 0.135), (0.062, 0.050, 0.105), 0.020, (0, 0.2, -1.0), 2.6),
)


@dataclass(frozen=True)
class Coat:
    """All strands at rest, back to front. N strands.

    root, normal, direction: (N, 3). length, seed: (N,). albedo: (N, 3). head: (N,) bool: follows the head.
    fine: (N,) bool: a fly-away hair, thinner than a pixel. open: (N, 2): how much it sees of each light BEHIND, 0..1.
    """

    root: Array
    normal: Array
    direction: Array
    length: Array
    albedo: Array
    seed: Array
    head: NDArray[np.bool_]
    fine: NDArray[np.bool_]
    open: Array


def _unit(v: Array) -> Array:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9))


def _rolled(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def grow(count: int, rng: np.random.Generator) -> Coat:
    """Let about `count` strands grow on the outside of all parts that the camera can see."""
    areas = np.array([p.share * np.prod(p.radii) ** (2 / 3) for p in PARTS])
    pieces = [_grow_part(part, round(2.9 * count * a / areas.sum()), rng) for part, a in zip(PARTS, areas, strict=True)]
    joined = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    order = np.argsort(joined[0][:, 2], kind="stable")
    root, normal, direction, length, albedo, seed, head, fine, open_ = (column[order] for column in joined)
    return Coat(root, normal, direction, length, albedo, seed, head, fine, open_)


def _grow_part(part: Part, count: int, rng: np.random.Generator) -> tuple[NDArray[np.generic], ...]:
    turn, radii, centre = _rolled(part.roll), np.array(part.radii), np.array(part.centre)
    on_sphere = _unit(rng.normal(size=(count, 3)))
    root = (on_sphere * radii) @ turn.T + centre
    normal = _unit((on_sphere / radii) @ turn.T)
    hidden = [_buried(root + np.array([0, 0, reach]), None) for reach in (0.05, 0.10, 0.16)]
    kept = (normal[:, 2] > -0.45) & ~_buried(root, part) & ~np.any(hidden, axis=0)
    root, normal = root[kept], normal[kept]
    n = len(root)
    fine = rng.random(n) < 0.10
    messy = rng.normal(size=(n, 3)) * np.where(fine, 0.42, 0.20)[:, None]
    # Locks: strands that start close together lean the same way, which is what makes fur look like fur.
    phase = root * 38
    locks = np.stack(
        [np.sin(phase[:, 1] + 2.1 * phase[:, 2]), np.sin(phase[:, 0] * 1.3 - phase[:, 1] * 0.7), 0 * phase[:, 0]], 1
    )
    direction = _unit(normal + np.array(part.comb) + messy + 0.16 * locks)
    ways = [[_buried(root + reach * way, part) for reach in (0.05, 0.10, 0.17)] for way in BEHIND]
    open_ = 1 - np.mean(np.array(ways), axis=1).T
    length = part.hair * rng.uniform(0.65, 1.2, n) * np.where(fine, 1.45, 1.0)
    albedo = _dye(part, root, normal, rng)
    return root, normal, direction, length, albedo, rng.random(n), np.full(n, part.head), fine, open_


def _buried(points: Array, own: Part | None) -> NDArray[np.bool_]:
    inside = np.zeros(len(points), dtype=bool)
    for part in PARTS:
        if part is not own:
            local = (points - np.array(part.centre)) @ _rolled(part.roll) / np.array(part.radii)
            inside |= (local**2).sum(1) < 0.86
    return inside


def _dye(part: Part, root: Array, normal: Array, rng: np.random.Generator) -> Array:
    """Rust on the back, cream below and on the cheeks, soot on the ears' tips; every strand a little different."""
    x, y = root[:, 0], root[:, 1]
    cream = {
        "muzzle": _ramp(y, -0.062, -0.044),
        "cheek left": _ramp(y - 0.35 * x, -0.030, 0.030),
        "cheek right": _ramp(y + 0.35 * x, -0.030, 0.030),
        "ruff": _ramp(-abs(x), -0.165, -0.10),
        "chest": _ramp(-abs(x), -0.15, -0.08),
        "ear left": 0.75 * _ramp(normal[:, 2], 0.80, 0.97) * _ramp(y, -0.36, -0.30),
        "ear right": 0.75 * _ramp(normal[:, 2], 0.80, 0.97) * _ramp(y, -0.36, -0.30),
    }.get(part.name, np.zeros(len(root)))
    soot = _ramp(-y, 0.305, 0.365) if part.name.startswith("ear") else np.zeros(len(root))
    cream = np.clip(cream + rng.normal(0, 0.07, len(root)), 0, 1)[:, None]
    soot = np.clip(soot + rng.normal(0, 0.05, len(root)), 0, 1)[:, None]
    colour = (1 - cream) * np.array(RUST) + cream * np.array(CREAM)
    colour = (1 - soot) * colour + soot * np.array(SOOT)
    return np.asarray(
        colour * np.exp(rng.normal(0, 0.22, (len(root), 1))) * np.exp(rng.normal(0, 0.05, (len(root), 3)))
    )


def _ramp(x: Array, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@dataclass(frozen=True)
class Pose:
    """Where the creature is at one moment: angles in radians, offsets in frame heights; hair tips trail by `lag`."""

    yaw: float
    tilt: float
    offset: tuple[float, float]
    lag: tuple[float, float]
    breath: float

    def head(self) -> Array:
        """Rotation of the head, (3, 3)."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        return np.asarray(_rolled(np.degrees(self.tilt)) @ turn)


def pose_at(time: float) -> Pose:
    """The creature looks round, from left to right and up, and settles. time: seconds from the first frame."""
    yaw = 0.50 * np.sin(2.2 * time - 0.55)
    tilt = 0.10 * np.sin(2.9 * time + 0.3)
    x = 0.075 * np.sin(3.1 * time - 0.4)
    y = 0.012 * np.sin(5.3 * time)
    speed = 0.50 * 2.2 * np.cos(2.2 * time - 0.55), 0.012 * 5.3 * np.cos(5.3 * time)
    return Pose(yaw, tilt, (x, y), (-0.020 * speed[0], -0.02 * speed[1]), 0.004 * np.sin(4 * time))
