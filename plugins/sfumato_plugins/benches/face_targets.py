"""What the face bench must meet: published baselines within 10 %, and the promises of the product."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from sfumato_plugins.benches.face_methods import CLIP, DRIFT, JAW, OURS, PLAIN
from sfumato_plugins.benches.face_stages import LOOKS

Row = dict[str, Any]
PUBLISHED = {  # weights, mesh mm; Miller
    ("noise", PLAIN): (0.033, 0.106),
    ("noise", DRIFT): (0.034, 0.119),
    ("noise", CLIP): (0.028, 0.081),
    ("drift", PLAIN): (0.092, 0.434),
    ("drift", DRIFT): (0.038, 0.128),
    ("drift", CLIP): (0.033, 0.093),
    ("raw", PLAIN): (0.174, 1.05),
    ("raw", DRIFT): (0.146, 0.79),
    ("raw", CLIP): (0.143, 0.762),
    ("calibrated", PLAIN): (0.097, 0.445),
    ("calibrated", DRIFT): (0.042, 0.137),
    ("calibrated", CLIP): (0.034, 0.100),
}
PERSON, WITHIN = 99, 0.10


def reproduced(rows: Iterable[Row]) -> list[Row]:
    """Each published number beside ours, the mean of the seeds; a raw day is that of `PERSON`.

    Returns:
        name, value, published, within 10 %, seeds.
    """
    ours: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        key = (row["case"].removeprefix("Miller, "), row["method"])
        if key in PUBLISHED and (key[0] != "raw" or row["seed"] == PERSON):
            ours.setdefault(key, []).append(row)
    found = []
    for (condition, way), some in ours.items():
        for name, bar in zip(("weights", "mesh"), PUBLISHED[condition, way]):
            value = fmean(row[name] for row in some)
            told = {"name": f"{condition}: {way}, {name}", "value": round(value, 4), "published": bar}
            found.append({**told, "within": abs(value / bar - 1) <= WITHIN, "seeds": len(some)})
    return found


def targets(rows: list[Row]) -> list[Row]:
    """Every promise these rows decide: name, value, bound, met. Values are means over seeds, unless they say worst."""
    found = [*_days(rows), *_turning(rows), *_actor(rows), *_workflow(rows)]
    return [row for row in found if row["value"] is not None]


def _days(rows: list[Row]) -> list[Row]:
    day, raw = _ours(rows, "Miller, calibrated"), _ours(rows, "Miller, raw", (PERSON,))
    others = _ours(rows, "Miller, raw", (0, 1, 2))
    drift, worse = _ours(rows, "Miller, drift"), _ours(rows, "Miller, occluded")
    clean = _ours(rows, "Miller, noise")
    ratio = worse["mesh"] / clean["mesh"] if worse and clean else None
    jitter = day.get("jitter")
    return [
        _at_most("Miller, calibrated: weights", day.get("weights"), 0.030),
        _at_most("Miller, calibrated: mesh mm", day.get("mesh"), 0.085),
        _at_most("Miller, calibrated: p95 mm", day.get("p95"), 0.24),
        _at_most("Miller, calibrated: jitter off 1.1x", None if jitter is None else abs(jitter - 1.1), 0.2),
        _at_most("Miller, raw: weights", raw.get("weights"), 0.09),
        _at_most("Miller, raw: mesh mm", raw.get("mesh"), 0.55),
        _at_most("Miller, raw, other persons: weights", others.get("weights"), 0.09),
        _at_most("Miller, raw, other persons: mesh mm", others.get("mesh"), 0.55),
        _at_most("Miller, drift: jawOpen", drift.get("jaw"), 0.015),
        _at_most("Miller, drift: lip gap mm", drift.get("lips"), 0.3),
        _at_most("Miller, 30 % occluded: mesh over that of 10 %", ratio, 2.0),
    ]


def _turning(rows: list[Row]) -> list[Row]:
    ours = _ours(rows, "rig that turns")
    off = next((row["off"] for row in rows if "off" in row), None)
    return [
        _at_most("rig that turns: weights", ours.get("weights"), 0.045),
        _at_most("rig that turns: markers mm", ours.get("markers"), 0.15),
        _at_most("Jacobian against differences", off, 1e-4),
    ]


def _actor(rows: list[Row]) -> list[Row]:
    """Same-actor learning, and whether the staged path beats least squares at the same look-ahead on every seed."""
    mesh: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if str(row["case"]).startswith("FACEGOOD"):
            mesh.setdefault((row["case"].split(", ")[1], row["method"]), []).append(row["mesh"])
    own, other, few = (_mean(mesh.get(("drift", f"{JAW}, {of}"))) for of in ("60 %", "other actor", "200 frames"))
    found = [
        _at_most("one actor, drift: mesh over a network of another actor", own and other and own / other, 0.5),
        _at_most("one actor, drift: 200 frames over all", own and few and few / own, 1.2),
    ]
    for condition in ("drift", "raw", "occluded"):
        for look, learned, classical in LOOKS:
            ours = mesh.get((condition, f"{learned}, 60 %"))
            peers = [mesh[condition, peer] for peer in classical if (condition, peer) in mesh]
            worst = max((a / min(b) for a, b in zip(ours, zip(*peers))), default=None) if ours and peers else None
            name = f"one actor, {condition}, {look}: mesh over the best least squares, worst seed"
            found.append(_at_most(name, worst, 1.0))
    return found


def _workflow(rows: list[Row]) -> list[Row]:
    by = {row["case"]: row for row in rows if "mesh" not in row}
    edits, live = [row for row in rows if "redone" in row], by.get("a live frame", {})
    whole, parts = by.get("1,000 frames at once", {}), next((row for row in rows if "apart" in row), {})
    other = by.get("onto the demo rig", {})
    return [
        *(_at_most(f"an edit, {edit['method']}: seconds", edit["seconds"], 2.0) for edit in edits),
        *(
            _at_most(f"an edit, {edit['method']}: {what} lost", int(not edit[f"{what} kept"]), 0)
            for edit in edits
            for what in ("elsewhere", "key")
        ),
        _at_most("live: ms a frame", 1000 * live["seconds"] if live else None, 1.0),
        _at_most("1,000 frames: seconds", whole.get("seconds"), 30.0),
        _at_most("chunks: weights apart", parts.get("apart"), 1e-4),
        _at_most("onto the demo rig: contact lost", 1 - other["contact"] if other else None, 0.01),
        _at_most("onto the demo rig: controls not bit-equal", int(not other["bit-equal"]) if other else None, 0),
    ]


def _ours(rows: list[Row], case: str, seeds: tuple[int, ...] | None = None) -> Row:
    """The product's whole clip on a case, its fall-back where there is no solver of the actor: means over seeds."""
    some = [row for row in rows if row["case"] == case and row["method"] == OURS]
    some = [row for row in some if seeds is None or row["seed"] in seeds]
    names = ("weights", "mesh", "p95", "jitter", "jaw", "lips", "markers")
    return {name: fmean(row[name] for row in some) for name in names if some and some[0].get(name) is not None}


def _mean(values: list[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def _at_most(name: str, value: float | None, bound: float) -> Row:
    if value is None:
        return {"name": name, "value": None, "bound": bound, "met": False}
    return {"name": name, "value": round(value, 5), "bound": bound, "met": value <= bound}
