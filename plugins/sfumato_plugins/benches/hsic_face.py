"""HSIC in the face solver: networks trained layer by layer, and answers that are not to depend on the day.

An actor of ours (see `sfumato demo face`) on days on which the markers were stuck on anew, 1 mm beside. Everything is
learned from two takes a day; the same two other performances are then tracked on each of these days and on days that
were never seen. `rmse`: of all controls there. `day`: nHSIC(controls, day) of the answers, with linear kernels; as the
performances are the same, only the networks' mistakes can depend on the day. `line`: ridge regression alone, without
hidden layers.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.table import Rows

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.face.networks import Net
    from sfumato.face.training import Lesson

Row = dict[str, Any]
Say = Callable[[str], None]
SEEDS, DAYS, FRAMES, BESIDE = (0, 1, 2), 4, 240, 0.1  # cm
LEARNED, TRIED = (11, 12), (21, 22)  # performances
SAMPLES, EPOCHS, BLUR = 1500, 30, 0.03
LOOSEN = (0.0, 0.1, 0.3, 0.5, 0.55, 0.6, 1.0, 3.0)  # weights of nHSIC(controls, day) in the loss
NUMBERS = ("rmse", "day", "rmse new", "day new", "seconds")
COLUMNS = ("case", "method", "seed", "loosen", *NUMBERS)


def face_rows(kept: Rows, say: Say, full: bool = False) -> list[Row]:
    """Rows of `face` (methods by seed), of `day` (weights of the regulariser), and what they are held to.

    full: All seeds; else the first.
    """
    wanted = [("face", method, 0.0) for method in ("line", "back-propagation", "hsic")]
    wanted += [("day", "back-propagation", loosen) for loosen in LOOSEN[1:]]
    rows = []
    for seed in SEEDS if full else SEEDS[:1]:
        actor = None
        for case, method, loosen in wanted:
            key = Rows.key(case=case, method=method, loosen=loosen, seed=seed)
            row = kept.get(key)
            if row is None:
                actor = actor or _Actor(seed)
                row = actor.row(case, method, loosen)
                kept.put(key, row)
            rows.append(row)
            held = ", ".join(f"{name} {row[name]:.4f}" for name in NUMBERS)
            say(f"{case}, {method}, seed {seed}, loosen {loosen:g}: {held}")
    return [*rows, *_held(rows)]


def _held(rows: list[Row]) -> list[Row]:
    """The ratio of errors; and of the strengths that cost at most 5 %, how far the best brings the day down."""
    plain, ours = (_mean(rows, method, 0.0) for method in ("back-propagation", "hsic"))
    loosened = [_mean(rows, "back-propagation", loosen) for loosen in LOOSEN]
    cheap = [one for one in loosened if one["rmse"] <= 1.05 * plain["rmse"]]
    held = (
        ("face: weight RMSE by hsic over back-propagation", ours["rmse"] / plain["rmse"], "<=", 1.1),
        ("face: day left at <= 5 % loss", min(one["day"] for one in cheap) / plain["day"], "<=", 0.5),
    )
    return [dict(zip(("case", "claim", "value", "sign", "bound"), ("claim", *one))) for one in held]


def _mean(rows: list[Row], method: str, loosen: float) -> Row:
    some = [row for row in rows if row["method"] == method and row["loosen"] == loosen]
    return {name: math.fsum(row[name] for row in some) / len(some) for name in ("rmse", "day")}


class _Actor:
    """What is learned from, and the takes to try."""

    def __init__(self, seed: int) -> None:
        import torch

        from sfumato.face.demo_rig import demo_markers, demo_rig
        from sfumato.face.examples import Examples, denoiser_of, examples
        from sfumato.face.training import lessons, untrained

        self.seed, self.rig = seed, demo_rig(52, 56)
        self.binding = demo_markers(self.rig)
        self.draw = draw = torch.Generator().manual_seed(seed)
        shape = (2 * DAYS, len(self.binding.names), 3)
        self.offsets = BESIDE * torch.randn(shape, generator=draw, dtype=torch.float64)
        known = torch.cat([self._performance(number) for number in LEARNED])
        some = []
        for offsets in self.offsets[:DAYS]:
            seen = self.binding.at(self.rig, known) + offsets
            some.append(examples(self.rig, self.binding, seen, known, offsets, (SAMPLES, 0.25), 2, draw))
        held = zip(*((one.positions, one.there, one.values, one.counts / DAYS) for one in some))
        told = Examples(*(torch.cat(parts) for parts in held))
        self.days = torch.eye(DAYS).repeat_interleave(len(some[0].counts), 0)
        middle = self.offsets[:DAYS].mean(0)
        self.solver = untrained(self.rig, self.binding, denoiser_of(self.rig, self.binding, told, middle, BESIDE))
        self.lessons = list(lessons(self.rig, self.binding, self.solver, told))
        self.wanted = torch.cat([self._performance(number) for number in TRIED])
        self.takes = [self._tracked(offsets) for offsets in self.offsets]

    def _performance(self, number: int) -> Tensor:
        from sfumato.face.demo_performance import demo_performance

        return demo_performance(self.rig, number, FRAMES)[0].values

    def _tracked(self, offsets: Tensor) -> Tensor:
        from sfumato.face.range_of_motion import tracked

        positions, there = tracked(self.binding.at(self.rig, self.wanted) + offsets, self.draw)
        return self.solver.features(positions, there.double())

    def row(self, case: str, method: str, loosen: float) -> Row:
        began = time.process_time()
        nets = [self._net(lesson, number, method, loosen) for number, lesson in enumerate(self.lessons)]
        seconds = time.process_time() - began
        answers = [self._answers(nets, features) for features in self.takes]
        (rmse, day), (new, new_day) = self._scored(answers[:DAYS]), self._scored(answers[DAYS:])
        found = (case, method, self.seed, loosen, rmse, day, new, new_day, seconds)
        return dict(zip(COLUMNS, found))

    def _net(self, lesson: Lesson, number: int, method: str, loosen: float) -> Net:
        from dataclasses import replace
        from functools import partial

        import torch

        from sfumato.face.networks import fit, line, principal
        from sfumato.face.networks_hsic import fit_by_hsic

        it, seed = lesson, 10 * self.seed + number
        if method == "hsic":
            return fit_by_hsic(it.features, it.target, it.given, BLUR, it.counts, EPOCHS, seed)
        if method == "back-propagation":
            part = partial(fit, days=self.days, loosen=loosen)
            return part(it.features, it.target, it.given, BLUR, it.counts, EPOCHS, seed)
        net = principal(it.features.float())
        entry = net.entry(it.features, it.given)
        straight = line(entry, it.target.float(), it.counts.float())
        middle = (it.target.float() - entry @ straight.T).mean(0)
        return replace(net, straight=straight, layers=((torch.zeros(len(middle), entry.shape[1]), middle),))

    def _answers(self, nets: list[Net], features: Tensor) -> Tensor:
        """(N, K), regions told the jaw that was found, in the order of the rig."""
        import torch

        found: dict[str, Tensor] = {}
        jaw = None
        for it, net in zip(self.lessons, nets):
            values = net(features[:, it.edges].flatten(1), jaw).double().clamp(0, 1)
            jaw = values if it.name == "jaw" else jaw
            found |= dict(zip(it.controls, values.T))
        return torch.stack([found[name] for name in self.rig.controls], 1)

    def _scored(self, answers: list[Tensor]) -> tuple[float, float]:
        import torch

        from sfumato.face.networks import LOOSE
        from sfumato.train.hsic import linear, nhsic

        off = torch.stack(answers) - self.wanted
        days = torch.eye(len(answers), dtype=torch.float64).repeat_interleave(len(self.wanted), 0)
        told, some = torch.cat(answers), slice(None, None, 4)
        day = nhsic(linear(told[some]), linear(days[some]), LOOSE)
        return float(off.square().mean().sqrt()), float(day)
