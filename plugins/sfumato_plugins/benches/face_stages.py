"""What each stage of the face solve buys, condition by condition: its mesh error over that of the stage before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sfumato_plugins.benches.face_methods import (
    CLIP,
    DRIFT,
    GRAPH,
    JAW,
    LIVE,
    OFFSETS,
    OURS,
    PLAIN,
    POSITIONS,
    TUNED,
)
from sfumato_plugins.benches.table import as_table

Row = dict[str, Any]
STAGES = (PLAIN, CLIP, POSITIONS, GRAPH, JAW, TUNED)
BEFORE = {CLIP: PLAIN, GRAPH: POSITIONS, JAW: GRAPH, TUNED: JAW}
LOOKS = (("live", LIVE, (PLAIN, DRIFT, OFFSETS)), ("whole takes", TUNED, (CLIP, OURS)))


def bought(rows: Iterable[Row]) -> list[Row]:
    """A row for every condition and stage.

    Returns:
        case; stage; trained; mesh: mm, the geometric mean over seeds; over: of the stage before, the same mean of
        ratios, None for a first stage.
    """
    found = []
    for (case, trained), by in _seeds(rows).items():
        for stage in STAGES:
            mesh = by.get(stage)
            if mesh is None or (trained and stage in (PLAIN, CLIP)):
                continue
            before = by.get(BEFORE.get(stage, ""))
            over = _ratio(mesh, before) if before else None
            found.append({"case": case, "trained": trained, "stage": stage, "mesh": _mean(mesh.values()), "over": over})
    return found


def against(rows: Iterable[Row]) -> list[Row]:
    """The staged path against the best classical one with the same look-ahead, for every condition.

    Returns:
        case; trained; look; classical: the better one's name; mesh, theirs: mm; over: their ratio; worst: seed;
        won: on every seed.
    """
    found = []
    for (case, trained), by in _seeds(rows).items():
        for look, learned, peers in LOOKS:
            ours, theirs = by.get(learned), {peer: by[peer] for peer in peers if peer in by}
            if not ours or not theirs:
                continue
            best = min(theirs, key=lambda peer: _mean(theirs[peer].values()))
            each = [
                mesh / min(other[seed] for other in theirs.values() if seed in other) for seed, mesh in ours.items()
            ]
            row = {"case": case, "trained": trained, "look": look, "classical": best, "mesh": _mean(ours.values())}
            row |= {"theirs": _mean(theirs[best].values()), "over": _mean(each), "worst": max(each)}
            found.append({**row, "won": max(each) < 1})
    return found


def as_text(rows: list[Row]) -> str:
    """Both for people, and where the learned path does not win, in a sentence."""
    peers = against(rows)
    lost = [f"{row['case']} ({row['look']}{', ' + row['trained'] if row['trained'] else ''})" for row in peers
            if not row["won"]]  # fmt: skip
    said = f"The learned path does not beat the best classical one on: {'; '.join(lost) or 'nothing here'}."
    stages = as_table(bought(rows), ("case", "trained", "stage", "mesh", "over"))
    columns = ("case", "trained", "look", "mesh", "classical", "theirs", "over", "worst", "won")
    head = "What each stage buys: mesh mm, and over the stage before"
    return f"{head}\n{stages}\n\nThe staged path against the best classical one\n{as_table(peers, columns)}\n{said}"


def _seeds(rows: Iterable[Row]) -> dict[tuple[str, str], dict[str, dict[int, float]]]:
    """Mesh errors by case and training, method, seed; classical methods stand beside every training."""
    classical: dict[str, dict[str, dict[int, float]]] = {}
    learned: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for row in rows:
        if "mesh" not in row:
            continue
        method, trained = _named(row["method"])
        if method in (PLAIN, DRIFT, OFFSETS, CLIP, OURS):
            there = classical.setdefault(row["case"], {})
        else:
            there = learned.setdefault((row["case"], trained), {})
        there.setdefault(method, {})[row["seed"]] = row["mesh"]
    alone = {(case, ""): by for case, by in classical.items()}
    return alone | {key: {**classical.get(key[0], {}), **by} for key, by in learned.items()}


def _named(said: str) -> tuple[str, str]:
    """A row's method and what its networks were trained on."""
    known = sorted((PLAIN, DRIFT, OFFSETS, CLIP, OURS, POSITIONS, GRAPH, JAW, LIVE, TUNED), key=len, reverse=True)
    method = next((name for name in known if said == name or said.startswith(f"{name}, ")), said)
    return method, said[len(method) + 2 :]


def _ratio(one: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """The geometric mean over the seeds that both have."""
    both = [one[seed] / other[seed] for seed in one if seed in other]
    return _mean(both) if both else None


def _mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))
