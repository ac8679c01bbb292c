"""One run of the matte bench: measures cases method by method, keeps the rows, and says what it does."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches import extras, ours, peers
from sfumato_plugins.benches.cases import Case, Frame
from sfumato_plugins.benches.table import METRICS, Rows

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]
BUDGET = 40 * 60.0
"""Seconds after which nothing optional is begun, unless the whole protocol was asked for."""


class Bench:
    """One run: measures cases, keeps rows, says what it does."""

    def __init__(self, quality: str, long: int, full: bool, device: str, seed: int, rows: Rows, say: Say) -> None:
        self.quality, self.long, self.full = quality, long, full
        self.device, self.seed, self.rows, self.say = device, seed, rows, say
        self.began = time.monotonic()
        self.foregrounds: list[dict[str, Any]] = []

    def warm_up(self, methods: Sequence[str] | None) -> None:
        """Load and compile everything on a small disc, so that no method pays for it in its seconds."""
        self.say("warming up (PyMatting compiles for a minute the first time)")
        disc = extras.disc()
        for method in methods or ("sfumato", *peers.STILLS):
            if method == "sfumato":
                ours.solve(disc, "preview", self.device)
            else:
                peers.solve(method, disc, disc.load(1))

    def measure(self, case: Case, methods: Sequence[str] | None) -> list[dict[str, Any]]:
        """A row for each method, sfumato first."""
        fitting = ("sfumato", *peers.methods(case, self.full))
        chosen = [method for method in fitting if not methods or method in methods]
        return [self.row(case, method) for method in chosen]

    def ablate(self, case: Case) -> list[dict[str, Any]]:
        """Rows with parts of sfumato switched off, while there is time."""
        found = []
        if case.linear and self.full:
            found.append(self.row(extras.with_clean_plate(case), "sfumato, clean plate"))
        for name, changes in ours.ablations(self.quality).items():
            if self.full or time.monotonic() - self.began < BUDGET:
                found.append(self.row(case, name, changes))
            else:
                self.say(f"{case.name}: {name} left out, {BUDGET / 60:.0f} minutes are over (--full measures it)")
        return found

    def hold(self, case: Case) -> dict[str, Any]:
        """How much alpha moves when nothing but the grain does."""
        still = extras.held(case)
        key = Rows.key(case=still.name, quality=self.quality, device=self.device, code=ours.fingerprint())
        record = self.rows.get(key)
        if record is None:
            alphas = ours.solve(still, self.quality, self.device, self.seed).alphas
            sigma = extras.restlessness(alphas, still.load(1).trimap)
            record = {"case": case.name, "frames": len(alphas), "sigma": sigma}
            self.rows.put(key, record)
        self.say(f"{case.name}  held frame  sigma {record['sigma']:.4f}")
        return record

    def row(self, case: Case, method: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """One method on one case, from the saved rows if it is there."""
        own = method.startswith("sfumato")
        key = Rows.key(
            case=case.name,
            frames=case.numbers,
            trimap=case.trimap,
            method=method,
            long=None if case.linear else self.long,
            quality=self.quality if own else None,
            device=self.device if own else None,
            seed=self.seed if own else None,
            code=ours.fingerprint() if own else peers.version(),
        )
        record = self.rows.get(key)
        if record is None:
            record = self._measured(case, method, changes)
            self.rows.put(key, record)
        self.foregrounds.extend(record["foreground"])
        row: dict[str, Any] = record["row"]
        self.say(f"{case.name}  {method}  " + "  ".join(f"{k} {row[k]:.3g}" for k in METRICS if row[k] is not None))
        return row

    def _measured(self, case: Case, method: str, changes: dict[str, Any] | None) -> dict[str, Any]:
        frames = _Frames(case)
        foreground: list[dict[str, Any]] = []
        if method.startswith("sfumato"):
            solved = ours.solve(case, self.quality, self.device, self.seed, changes)
            alphas, seconds = solved.alphas, solved.seconds
            if case.linear and method == "sfumato":
                foreground = extras.foreground(case, solved)
        else:
            pairs = [peers.solve(method, case, frames[number]) for number in case.numbers]
            alphas = [alpha for alpha, _ in pairs]
            seconds = sum(spent for _, spent in pairs) / len(pairs)
        row = {"case": case.name, "method": method, "trimap": case.trimap, "frames": len(case.numbers)}
        return {"row": {**row, **_scores(case, frames, alphas), "seconds": seconds}, "foreground": foreground}


class _Frames:
    """The frames of a case, read once, the last few kept."""

    def __init__(self, case: Case) -> None:
        self._load = functools.lru_cache(maxsize=16)(case.load)

    def __getitem__(self, number: int) -> Frame:
        return self._load(number)


def _scores(case: Case, frames: _Frames, alphas: Sequence[Tensor]) -> dict[str, Any]:
    import torch

    from sfumato.matte.metrics import score

    loaded = [frames[number] for number in case.numbers]
    guides = [torch.cat([f.truth, f.truth if f.premultiplied is None else f.premultiplied]) for f in loaded]
    return asdict(score(alphas, [f.truth for f in loaded], [f.trimap for f in loaded], guides))
