"""The head held still: a robust rigid fit of every frame to the neutral face, by what a face moves least."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.binding import Binding
from sfumato.face.markers import Markers
from sfumato.face.rig import Rig
from sfumato.report import Report, Step, silent

CALM = 0.12  # centimetres a marker may move under any control and still count half
EDGE = 0.08  # centimetres: residual that counts half
ROUNDS = 8
FEWEST = 4  # markers, three of which must not lie on a line


@dataclass(frozen=True)
class Stabilised:
    """markers: In the rig's space. turn, shift: (F, 3, 3), (F, 3); still = turn (recorded) + shift. lost: frames with
    too few markers, which have their neighbours' head."""

    markers: Markers
    turn: Tensor
    shift: Tensor
    lost: tuple[float, ...] = ()


def stabilise(markers: Markers, rig: Rig, binding: Binding, report: Report = silent) -> Stabilised:
    """Bring every frame into the rig's space.

    Each marker counts by how little the rig's controls move it, 1 / (1 + (m / CALM)^2) with m its largest movement with
    one control at its limit, and by how well it fits, 1 / (1 + (r / EDGE)^2). What moves although it should not
    (a forehead in a brow raise) is left to the solve, which looks for the rest of the drift.

    Raises:
        InputError: no frame has four of the rig's markers.
    """
    taken = markers.only(binding.names, unseen=True)
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    calm = 1 / (1 + (mobility(rig, binding) / CALM) ** 2)
    seen, enough = taken.seen, located(markers, binding)
    report(Step("rigid", 0, ROUNDS))
    points = taken.positions.nan_to_num(0.0)
    weight = (calm * seen).clamp(min=0.0)
    turn, shift = fits(points, rest, weight)
    for step in range(ROUNDS):
        apart = (points @ turn.transpose(1, 2) + shift[:, None] - rest).norm(dim=-1)
        turn, shift = fits(points, rest, weight / (1 + (apart / EDGE) ** 2))
        report(Step("rigid", step + 1, ROUNDS))
    turn, shift = _bridged(turn, enough), _bridged(shift, enough)
    still = points @ turn.transpose(1, 2) + shift[:, None]
    still[~seen] = torch.nan
    lost = tuple(frame for frame, good in zip(taken.frames, enough.tolist(), strict=True) if not good)
    return Stabilised(replace(taken, positions=still), turn, shift, lost)


def located(markers: Markers, binding: Binding) -> Tensor:
    """The frames in which the head can be found, (F,) bool: four markers that sit on the rig are seen.

    Raises:
        InputError: no frame has four of the rig's markers.
    """
    found = markers.only(binding.names, unseen=True).seen.sum(1) >= FEWEST
    if not bool(found.any()):
        bound = [name for name in markers.names if name in binding.names]
        what = (
            f"no frame has {FEWEST} markers that sit on the rig; {len(bound)} of {len(binding.names)} are in the take"
        )
        raise InputError(what, f"the rig knows {', '.join(binding.names[:3])} ...; rename or label, or give --binding")
    return found


def mobility(rig: Rig, binding: Binding) -> Tensor:
    """How far each marker goes with one control at its limit, at most: (M,) centimetres."""
    count = len(rig.controls)
    one = torch.cat([torch.diag(rig.upper), torch.diag(rig.lower)]).double()
    rest = binding.at(rig, torch.zeros(count, dtype=torch.float64))
    furthest: Tensor = (binding.at(rig, one) - rest).norm(dim=-1).amax(0)
    return furthest


def fits(points: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted rigid fits of many frames at once: (F, M, 3) to (M, 3), weights (F, M) -> (F, 3, 3), (F, 3) (Kabsch)."""
    share = weight / weight.sum(1, keepdim=True).clamp(min=1e-12)
    a = (share[..., None] * points).sum(1)
    b = (share[..., None] * target).sum(1)
    covariance = (share[..., None] * (points - a[:, None])).transpose(1, 2) @ (target - b[:, None])
    u, _, vh = torch.linalg.svd(covariance)
    mirror = torch.ones(len(points), 3, dtype=points.dtype)
    mirror[:, 2] = torch.det(vh.transpose(1, 2) @ u.transpose(1, 2)).sign()
    turn = vh.transpose(1, 2) @ (mirror[..., None] * u.transpose(1, 2))
    return turn, b - (turn @ a[..., None])[..., 0]


def _bridged(values: Tensor, known: Tensor) -> Tensor:
    """Frames that are not known take the nearest known one's."""
    places = torch.nonzero(known)[:, 0]
    nearest = (torch.arange(len(values))[:, None] - places[None]).abs().argmin(1) if len(places) else places
    return values[places[nearest]]
