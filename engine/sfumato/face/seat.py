"""Where a take's markers sit on a rig when nobody has said it: the take's resting face is laid onto the neutral one.

A fall-back for takes whose markers were placed by eye. Better is a file that says where each marker sits.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import InputError, RequestError
from sfumato.face.markers import Markers
from sfumato.face.render import vertex_normals

LAID = 0.5  # centimetres: a median distance to the skin up to which we believe that it is this face
SAMPLES = 200  # frames looked at
ROUGH, ROUNDS = 25, 100
FEW, BEST = 2500, 4  # vertices for a rough look; how many rough looks are followed to the end
KEPT = 0.8  # share of the markers that decide: the nearest ones


@dataclass(frozen=True)
class Seat:
    """Points (M, 3) on the neutral face, in the rig's space; `apart`: their median distance from its skin, cm."""

    points: Tensor
    apart: float


def seat(markers: Markers, neutral: Tensor, faces: Tensor) -> Seat:
    """Lay a take onto a neutral face.

    The frames are brought over each other rigidly, and each marker's median is its place at rest. That face is turned
    and moved until its markers lie on the neutral's skin (the worst fifth left out), beginning from where it is and
    from before the face in twelve directions.

    Args:
        markers: A take with every marker seen in some frame. neutral: (V, 3) cm. faces: (T, 3) int64.

    Raises:
        InputError: fewer than six markers are ever seen together.
        RequestError: it does not come to lie on the face.
    """
    rest = resting(markers)
    known = rest.isfinite().all(-1)
    normals = vertex_normals(neutral, faces)
    few = slice(None, None, max(1, len(neutral) // FEW))
    rough = [_laid(rest[known], neutral[few], normals[few], start, ROUGH) for start in _starts(rest[known], neutral)]
    best = sorted(rough, key=lambda s: s.apart)[:BEST]
    found = min((_laid(rest[known], neutral, normals, s.points, ROUNDS) for s in best), key=lambda s: s.apart)
    if found.apart > LAID:
        what = f"the markers do not come to lie on the rig's face: half of them stay {found.apart * 10:.1f} mm away"
        raise RequestError(what, "say where they sit with --binding, and look at --units and --up")
    points = torch.full_like(rest, math.nan)
    points[known] = found.points
    return Seat(points, found.apart)


def resting(markers: Markers) -> Tensor:
    """Each marker's median place (M, 3) once the head stands still; NaN for one that is never seen.

    Raises:
        InputError: fewer than six markers are seen in any frame.
    """
    seen = markers.seen
    most = int(seen.sum(1).argmax())
    if int(seen[most].sum()) < 6:
        what = f"at most {int(seen[most].sum())} markers are seen at a time, too few to find the head"
        raise InputError(what, "six or more are needed; label more of the take, or give --binding")
    base = markers.positions[most]
    every = range(0, len(seen), max(1, len(seen) // SAMPLES))
    still = torch.full((len(every), len(markers.names), 3), math.nan, dtype=torch.float64)
    for row, frame in enumerate(every):
        common = seen[frame] & seen[most]
        if int(common.sum()) >= 4:
            turn, shift = rigid(markers.positions[frame, common], base[common])
            still[row] = markers.positions[frame] @ turn.T + shift
    return still.nanmedian(0).values


def rigid(source: Tensor, target: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The rotation (3, 3) and shift (3,) that bring points (N, 3) nearest to others, in the least-squares sense.

    Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976.
    """
    weight = torch.ones(len(source), dtype=source.dtype) if weight is None else weight
    share = weight / weight.sum()
    a, b = (share[:, None] * source).sum(0), (share[:, None] * target).sum(0)
    u, _, vh = torch.linalg.svd((share[:, None] * (source - a)).T @ (target - b))
    mirror = torch.ones(3, dtype=source.dtype)
    mirror[2] = torch.det(vh.T @ u.T).sign()
    turn = vh.T @ torch.diag(mirror) @ u.T
    return turn, b - turn @ a


def _starts(points: Tensor, neutral: Tensor) -> list[Tensor]:
    """The points where they are, and before the face's front, higher and lower, turned by twelfths of a circle."""
    low, high = neutral.amin(0), neutral.amax(0)
    front = torch.stack([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, high[2] - 0.25 * (high[2] - low[2])])
    middle = points.mean(0)
    starts = [points]
    tall = float(high[1] - low[1])
    for twelfth in range(12):
        angle = twelfth * math.pi / 6
        c, s = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=points.dtype)
        for up in (-0.12, 0.0, 0.12):
            shift = torch.tensor([0.0, up * tall, 0.0], dtype=points.dtype)
            starts.append((points - middle) @ turn.T + front + shift)
    return starts


def _laid(points: Tensor, neutral: Tensor, normals: Tensor, start: Tensor, rounds: int) -> Seat:
    """Towards the planes of the nearest vertices, round after round, from a start.

    Chen and Medioni, "Object modelling by registration of multiple range images", 1992: the distance along the normal
    counts, so that points may slide over the skin to where they belong.
    """
    now = start
    for _ in range(rounds):
        nearest = torch.cdist(now, neutral).argmin(1)
        normal, off = normals[nearest], neutral[nearest] - now
        along = (off * normal).sum(1)
        kept = along.abs() <= along.abs().quantile(KEPT)
        sides = torch.cat([torch.linalg.cross(now - now.mean(0), normal), normal], dim=1)[kept]
        damped = sides.T @ sides + 1e-3 * torch.eye(6, dtype=now.dtype)
        step = torch.linalg.solve(damped, sides.T @ along[kept])
        goal = now + torch.linalg.cross(step[:3].expand_as(now), now - now.mean(0)) + step[3:]
        turn, shift = rigid(points, goal)
        moved = points @ turn.T + shift
        done = float((moved - now).norm(dim=1).max()) < 1e-4
        now = moved
        if done:
            break
    apart = torch.cdist(now, neutral).min(1)
    return Seat(now, float((((now - neutral[apart.indices]) * normals[apart.indices]).sum(1)).abs().median()))
