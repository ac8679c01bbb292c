"""`sfumato bench edit`: "red ball" -> "blue ball", how much changes that was not to, BDIA beside DDIM inversion.

Measured on the pictures the model itself makes, before any pixel of a plate is put back: what is at stake is the
sampler. Outside the object (two pixels in thirty-two away): `psnr` in dB, and `background`, a multi-scale error of
colour and edges x 1e3, nothing learned. On the whole picture: `structure`, how differently it is arranged, x 1e3.
`changed`: a detector, not a network, finds the new colour where the object is. `calls` of the network for one edit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.edit_cases import Case, Path, batches, own, rendered
from sfumato_plugins.benches.edit_methods import EQUAL, METHODS, OURS, Settings, edit
from sfumato_plugins.benches.table import Rows, as_table

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.models.model import Model

Row = dict[str, Any]
Say = Callable[[str], None]
COUNT, FULL_COUNT, BATCH = 60, 200, 20
ROWS_FILE = "bench_edit_rows.jsonl"
MEASURES = {"structure": -1, "psnr": 1, "background": -1}  # less is better, or more
EQUAL_DB = 150.0  # stands for no error at all, which JSON has no number for
LEAST = 0.05  # as many edits as the peer's have to succeed, less this share


def run(
    model: str = "embedded",
    *,
    data: Path | None = None,
    count: int | None = None,
    settings: Settings = Settings(),  # noqa: B008 frozen
    full: bool = False,
    device: str = "auto",
    seed: int = 0,
    methods: Sequence[str] | None = None,
    rows: Path | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Edit every case with every method.

    Args:
        model: "embedded", or a diffusers folder.
        data: Pictures of your own (edits.json); default: rendered scenes, whose objects are known.
        count: At most this many; default 60 scenes, with `full` 200.
        settings: Steps, strength and guidance of the edits.
        full: More scenes and more methods; rows are saved and resumed.
        methods: Only these; default: those that ask the network equally often, with `full` all.
        rows: Where measured rows are kept; default ROWS_FILE in the current folder with `full`, else nowhere.
        say: Gets a line for each thing done, for people.

    Returns:
        The bench document, with `differences` beside its rows: BDIA less each peer over the same edits, means and 95 %
        intervals.

    Raises:
        RequestError: no such model or method, or nothing to measure.
    """
    import sfumato
    from sfumato.device import describe, pick_device
    from sfumato.errors import RequestError
    from sfumato.models.load import load_model

    chosen = tuple(methods or (METHODS if full else EQUAL))
    unknown = [name for name in chosen if name not in METHODS]
    if unknown:
        raise RequestError(f"no method called {unknown[0]}", f"methods: {', '.join(METHODS)}")
    loaded = load_model(model, pick_device(device))
    cases = (
        own(Path(data), loaded.size)
        if data
        else rendered(count or (FULL_COUNT if full else COUNT), loaded.size[0], seed)
    )
    cases = cases[:count]
    if not cases:
        raise RequestError(f"there is nothing to edit in {data}", "list pictures in its edits.json")
    bench = _Bench(loaded, settings, Rows(rows or (Path(ROWS_FILE) if full else None)), say)
    measured = [row for method in chosen for row in bench.measure(method, cases)]
    return {
        "bench": "edit",
        "version": sfumato.__version__,
        "device": describe(pick_device(device)),
        "settings": {
            "model": loaded.name,
            "digest": loaded.digest,
            "edits": len(cases),
            **vars(settings),
            "seed": seed,
        },
        "rows": measured,
        "means": means(measured),
        "differences": differences(measured),
        "targets": targets(measured),
    }


class _Bench:
    def __init__(self, model: Model, settings: Settings, rows: Rows, say: Say) -> None:
        self.model, self.settings, self.rows, self.say = model, settings, rows, say

    def measure(self, method: str, cases: Sequence[Case]) -> list[Row]:
        """A row for each case, from the saved rows where they are there."""
        keys = {case.name: self._key(method, case) for case in cases}
        todo = [case for case in cases if self.rows.get(keys[case.name]) is None]
        for batch in batches(todo, BATCH):
            for case, row in zip(batch, self._measured(method, batch)):
                self.rows.put(keys[case.name], row)
            self.say(f"{method}: {len(batch)} edits")
        found = [self.rows.get(key) for key in keys.values()]
        return [row for row in found if row is not None]

    def _key(self, method: str, case: Case) -> str:
        from sfumato import __version__

        asked = {"case": case.name, "source": case.source, "target": case.target, "method": method}
        return Rows.key(**asked, **vars(self.settings), model=self.model.digest, version=__version__)

    def _measured(self, method: str, batch: Sequence[Case]) -> list[Row]:
        import torch

        given = torch.stack([case.picture for case in batch])
        sources, targets = [case.source for case in batch], [case.target for case in batch]
        made = edit(method, self.model, given, sources, targets, self.settings)
        with torch.no_grad():
            kept = self.model.codec.decode(self.model.codec.encode(given)).clamp(0, 1)
        return [
            {**score(case, before, after), "method": method, "calls": made.calls, "seconds": made.seconds / len(batch)}
            for case, before, after in zip(batch, kept, made.pictures)
        ]


def score(case: Case, before: Tensor, after: Tensor) -> Row:
    """What an edit kept, and whether it changed what it was to."""
    from sfumato.diffusion.metrics import background_error, outside, psnr, structure_distance

    away = outside(case.cover, max(1, round(before.shape[2] / 16)))
    return {
        "case": case.name,
        "structure": 1e3 * structure_distance(before, after),
        "psnr": min(psnr(before, after, away), EQUAL_DB),
        "background": 1e3 * background_error(before, after, away),
        "changed": changed(case, after),
    }


def changed(case: Case, picture: Tensor) -> bool | None:
    """Whether the detector finds the new colour where the object is; None where nobody knows what to look for."""
    from sfumato.models.training.detect import find_things

    if case.colour is None or case.box is None:
        return None
    return any(f.colour == case.colour and _shared(f.box, case.box) > 0.3 for f in find_things(picture))


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - across * down
    return across * down / both if both > 0 else 0.0


def means(rows: Sequence[Row]) -> dict[str, Row]:
    """By method: the means, and the share of edits that changed what they were to."""
    found: dict[str, Row] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        names = (*MEASURES, "changed", "calls", "seconds")
        found[method] = {name: _mean([row[name] for row in mine if row[name] is not None]) for name in names}
        found[method]["edits"] = len(mine)
    return found


def differences(rows: Sequence[Row]) -> list[Row]:
    """BDIA less each peer on the same edits: mean, and the 95 % interval of the mean."""
    found = []
    by_case = _by_case(rows)
    for peer in dict.fromkeys(row["method"] for row in rows if row["method"] != OURS):
        pairs = [(c[OURS], c[peer]) for c in by_case.values() if {OURS, peer} <= set(c)]
        for name in (*MEASURES, "changed") if len(pairs) > 1 else ():
            apart = [a[name] - b[name] for a, b in pairs if a[name] is not None]
            if len(apart) > 1:
                mean = _mean(apart)
                spread = math.sqrt(math.fsum((x - mean) ** 2 for x in apart) / (len(apart) - 1) / len(apart))
                low, high = mean - 1.96 * spread, mean + 1.96 * spread
                found.append({"against": peer, "measure": name, "mean": mean, "low": low, "high": high})
    return found


def targets(rows: Sequence[Row]) -> list[Row]:
    """BDIA better than each peer of equal calls in every measure, and no fewer edits that succeed."""
    found, average = [], means(rows)
    for peer in EQUAL[1:]:
        if not {OURS, peer} <= set(average):
            continue
        ours, theirs = average[OURS], average[peer]
        found.append(_target(f"calls against {peer}'s", ours["calls"], theirs["calls"], -1))
        found += [_target(f"{name} against {peer}'s", ours[name], theirs[name], way) for name, way in MEASURES.items()]
        if ours["changed"] is not None and theirs["changed"] is not None:
            found.append(_target(f"edits that succeed against {peer}'s", ours["changed"], theirs["changed"] - LEAST, 1))
    return found


def _target(name: str, value: float, bound: float, way: int) -> Row:
    sign = ">=" if way > 0 else "<="
    met = value >= bound if way > 0 else value <= bound
    return {"name": name, "value": round(value, 4), "bound": f"{sign} {bound:.4g}", "met": met}


def _by_case(rows: Sequence[Row]) -> dict[str, Mapping[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["case"], {})[row["method"]] = row
    return dict(found)


def _mean(values: Sequence[float]) -> Any:
    return math.fsum(values) / len(values) if values else None


def as_text(document: dict[str, Any]) -> str:
    """The document for people: means, differences and targets; rows only in the JSON."""
    named = [{"method": name, **row} for name, row in document["means"].items()]
    columns = ("method", "edits", "structure", "psnr", "background", "changed", "calls", "seconds")
    parts = [as_table(named, columns)]
    if document["differences"]:
        parts.append(as_table(document["differences"], ("against", "measure", "mean", "low", "high")))
    parts.append(as_table(document["targets"], ("name", "value", "bound", "met")))
    how = document["settings"]
    parts.append(
        f"sfumato {document['version']}, model {how['model']}, {how['edits']} edits, {how['steps']} steps, strength "
        f"{how['strength']:g}, guidance {how['guidance']:g}, {document['device']}"
    )
    return "\n\n".join(parts)
