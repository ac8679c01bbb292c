"""What to look at in a solve: frames, controls at their limits, what the markers cannot tell. Needs the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato_plugins.facing.solution import Solution

MM = 10.0
MOST = 6
APART = 6  # samples within which two reasons are one frame
NOT_MANY = 0.15  # share of the markers lost that is worth a look
JUMP = 6.0  # times the median second difference


def frames_to_look_at(one: Solution) -> list[tuple[float, str]]:
    """The frames to look at first with the reasons, the most telling first; the first frame where all is well."""
    found: dict[int, list[str]] = {}

    def add(at: int, why: str) -> None:
        near = next((known for known in found if abs(known - at) <= APART), at)
        found.setdefault(near, []).append(why)

    for at, why in (*_far(one), *_lost(one), *_jumps(one), *_limits(one)):
        if len(found) < MOST or any(abs(known - at) <= APART for known in found):
            add(at, why)
    if not found:
        mean = (one.residual * MM).nanmean(1).nan_to_num(0.0)
        at = int(mean.argmax())
        add(at, f"no frame stands out; this one has the largest residual, {float(mean[at]):.2f} mm on average")
    return [(one.frames[at], "; ".join(dict.fromkeys(whys))) for at, whys in found.items()]


def _far(one: Solution) -> list[tuple[int, str]]:
    """The frames whose markers are furthest from the rig, twice the usual or a millimetre, with the worst marker."""
    residual = one.residual * MM
    mean = residual.nanmean(1).nan_to_num(0.0)
    usual = float(mean[mean > 0].median()) if bool((mean > 0).any()) else 0.0
    whys = []
    for at in _peaks(mean, 2):
        if float(mean[at]) > max(2 * usual, 0.3) or float(mean[at]) > 1.0:
            worst = int(residual[at].nan_to_num(-1.0).argmax())
            far = f"{one.binding.names[worst]} {float(residual[at, worst]):.1f} mm from the rig"
            whys.append((at, f"markers {float(mean[at]):.2f} mm off on average, {far}"))
    single = residual.nan_to_num(0.0).amax(1)
    for at in _peaks(single, 1):
        if float(single[at]) > 2.0:
            worst = int(residual[at].nan_to_num(-1.0).argmax())
            whys.append((at, f"{one.binding.names[worst]} is {float(single[at]):.1f} mm from the rig"))
    return whys


def _lost(one: Solution) -> list[tuple[int, str]]:
    """The frame with the most markers unseen."""
    lost = (~one.seen).sum(1)
    at = int(lost.argmax())
    if float(lost[at]) <= NOT_MANY * one.seen.shape[1]:
        return []
    return [(at, f"{int(lost[at])} of {one.seen.shape[1]} markers are not seen")]


def _jumps(one: Solution) -> list[tuple[int, str]]:
    """The frame at which a control turns most abruptly, if that is out of the ordinary."""
    values = one.values
    if len(values) < 5:
        return []
    turn = (values[2:] - 2 * values[1:-1] + values[:-2]).abs()
    size = turn.amax(1)
    at = int(size.argmax())
    if float(size[at]) < max(JUMP * float(size.median()), 0.1):
        return []
    return [(at + 1, f"{one.curves.names[int(turn[at].argmax())]} jumps by {float(size[at]):.2f}")]


def _limits(one: Solution) -> list[tuple[int, str]]:
    """The frame with the most controls at their upper limit."""
    at_limit = saturated(one)
    count = at_limit.sum(1)
    at = int(count.argmax())
    if not int(count[at]):
        return []
    names = [name for name, stuck in zip(one.curves.names, at_limit[at].tolist()) if stuck]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [(at, f"at the limit: {', '.join(names[:3])}{more}")]


def saturated(one: Solution) -> Tensor:
    """(F, K) bool: a control is at its upper limit, or at a lower one that is not its rest."""
    upper = one.values >= one.rig.upper - 1e-6
    lower = (one.values <= one.rig.lower + 1e-6) & (one.rig.lower < -1e-9)
    return upper | lower


def _peaks(values: Tensor, count: int) -> list[int]:
    """The places of the highest values, none beside another."""
    left, found = values.clone(), []
    for _ in range(min(count, len(values))):
        at = int(left.argmax())
        found.append(at)
        left[max(0, at - APART) : at + APART + 1] = float("-inf")
    return [at for at in found if float(values[at]) > float("-inf")]


def summary(one: Solution) -> dict[str, Any]:
    """What solve.json says of the curves besides: numbers, what to look at, what cannot be told."""
    known = one.residual[one.residual.isfinite()] * MM
    at_limit = saturated(one)
    stuck = {
        f"{one.frames[at]:g}": [n for n, there in zip(one.curves.names, row) if there]
        for at, row in enumerate(at_limit.tolist())
        if any(row)
    }
    return {
        "residual_mm": round(float(known.mean()), 4) if len(known) else None,
        "seen": round(float(one.seen.double().mean()), 4),
        "first": [[frame, why] for frame, why in frames_to_look_at(one)],
        "saturated": stuck,
        **_cannot_tell(one),
    }


def _cannot_tell(one: Solution) -> dict[str, Any]:
    """What the markers cannot tell: over the take in sentences, and frame by frame."""
    from sfumato.face.ambiguity import examine

    found = examine(one.rig, one.binding, one.curves, one.believed)
    share = found.unsure.double().mean(0).tolist()
    by_frame = {f"{frame:g}": list(names) for frame, names in found.by_frame(one.curves).items()}
    notes = {name: "not told by the markers" for name, often in zip(one.curves.names, share) if often > 0.5}
    return {"ambiguity": list(found.sentences), "ambiguous": by_frame, "controls_notes": notes}
