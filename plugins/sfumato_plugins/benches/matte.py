"""`sfumato bench matte`: measures mattes against truth, beside what a compositor could use instead, in one run."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches import extras, ours, peers
from sfumato_plugins.benches.cases import Case, Frame, Path
from sfumato_plugins.benches.clips import find_clips
from sfumato_plugins.benches.stills import find_stills
from sfumato_plugins.benches.strokes import scribbled
from sfumato_plugins.benches.table import METRICS, Rows, as_table, means
from sfumato_plugins.benches.targets import targets

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]
BUDGET = 40 * 60.0
"""Seconds after which nothing optional is begun, unless the whole protocol was asked for."""
ROWS_FILE = "bench_matte_rows.jsonl"


def run(
    data: Path,
    *,
    quality: str = "standard",
    long: int = 512,
    limit: int | None = None,
    trimap: int = 1,
    full: bool = False,
    device: str = "auto",
    seed: int = 0,
    methods: Sequence[str] | None = None,
    scribbles: bool = False,
    cost: bool = False,
    rows: Path | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Measure every still or clip in a folder with sfumato and its peers.

    Args:
        data: Photographs (image/ alpha/ trimap1/ trimap2/), or the parent of clips (NAME/plate.####.exr ...).
        quality: sfumato's preset.
        long: Long side of photographs in pixels; clips are measured as they are.
        limit: At most this many stills or clips.
        trimap: 1 (narrow) or 2 (wide), on photographs.
        full: Everything, however long: the slow peers on clips and all ablations. Rows are saved and resumed.
        methods: Only these; default: sfumato and every peer that fits the case.
        scribbles: Also measure each case with a few strokes for a trimap, as "NAME scribbles".
        cost: Also time sfumato on one photograph at several sizes: seconds against pixels in the band.
        rows: Where measured rows are kept; default ROWS_FILE in the current folder with `full`, else nowhere.
        say: Gets one line for each thing done, for people.

    Returns:
        The bench document: bench, version, device, rows, means, targets, and beside them ablations (rows like the
        others), foreground (rows: case, method, psnr over 18 % grey, residual), settings. Units: SAD, grad, conn and
        MESSDdt in thousands, mse x 1e3, dtSSD x 100; seconds a frame.

    Raises:
        RequestError: nothing to measure in the folder, an unknown method, or PyMatting is missing.
    """
    import sfumato
    from sfumato.device import describe, pick_device
    from sfumato.errors import RequestError

    cases = _cases(Path(data), long, trimap)[:limit]
    if not cases:
        raise RequestError(
            f"there is nothing to measure in {data}",
            "give a folder with image/ alpha/ trimap1/, or the parent of clips NAME/plate.####.exr, gt_premult, trimap",
        )
    unknown = set(methods or ()) - {"sfumato", "cf-srgb", *peers.STILLS}
    if unknown:
        raise RequestError(
            f"no method called {', '.join(sorted(unknown))}", "methods: sfumato, cf-srgb, closed-form, knn, lbdm"
        )
    bench = Bench(quality, long, full, device, seed, Rows(rows or (Path(ROWS_FILE) if full else None)), say)
    bench.warm_up(methods)
    measured = [row for case in cases for row in bench.measure(case, methods)]
    strokes = [
        row
        for case in cases
        if scribbles
        for row in bench.measure(
            scribbled(case), [m for m in ("sfumato", "closed-form") if not methods or m in methods]
        )
    ]
    ablated = [row for case in cases if not methods for row in bench.ablate(case)]
    document: dict[str, Any] = {
        "bench": "matte",
        "version": sfumato.__version__,
        "device": describe(pick_device(device)),
        "settings": {"quality": quality, "long": long, "trimap": trimap, "seed": seed, "pymatting": peers.version()},
        "rows": measured + strokes,
        "means": means(measured),
        "ablations": ablated,
        "foreground": bench.foregrounds,
        "targets": targets(measured + strokes, [case.name for case in cases if case.linear]),
    }
    if strokes:
        document["scribbles"] = means(strokes)
    if cost:
        document["cost"] = extras.cost(Path(data), cases, quality, device, say)
    return document


def _cases(data: Path, long: int, trimap: int) -> list[Case]:
    if not data.is_dir():
        return []
    found = find_stills(data, long, trimap) + find_clips(data)
    if not found and list(data.glob("plate.*.exr")):
        return [case for case in find_clips(data.parent) if case.name == data.name]
    return found


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
        for name, changes in ours.ablations(self.quality).items():
            if self.full or time.monotonic() - self.began < BUDGET:
                found.append(self.row(case, name, changes))
            else:
                self.say(f"{case.name}: {name} left out, {BUDGET / 60:.0f} minutes are over (--full measures it)")
        return found

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


def as_text(document: dict[str, Any]) -> str:
    """The document for people: rows, means, ablations, foreground and targets as tables."""
    case = ("case", "method", "trimap", "frames", *METRICS)
    parts = [as_table(document["rows"], case)]
    for title in ("means", "scribbles"):
        if document.get(title):
            named = [{"method": name, **row} for name, row in document[title].items()]
            parts.append(f"{title}\n" + as_table(named, ("method", "cases", *METRICS)))
    for title, columns in (
        ("ablations", case),
        ("foreground", ("case", "method", "psnr", "residual")),
        ("cost", ("case", "long", "pixels", "band", "seconds", "microseconds_a_band_pixel")),
        ("targets", ("name", "value", "bound", "met")),
    ):
        if document.get(title):
            parts.append(f"{title}\n" + as_table(document[title], columns))
    if document.get("cost"):
        parts.append(extras.cost_plot(document["cost"]))
    settings = document["settings"]
    parts.append(
        f"sfumato {document['version']}, {settings['quality']}, {document['device']}, PyMatting {settings['pymatting']}"
    )
    return "\n\n".join(parts)
