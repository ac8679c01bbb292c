"""`sfumato bench matte`: measures mattes against truth, beside what a compositor could use instead, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from sfumato_plugins.benches import extras, peers
from sfumato_plugins.benches.cases import Case, Path
from sfumato_plugins.benches.clips import find_clips
from sfumato_plugins.benches.measure import Bench
from sfumato_plugins.benches.steps import steps as time_steps
from sfumato_plugins.benches.stills import find_stills
from sfumato_plugins.benches.strokes import scribbled
from sfumato_plugins.benches.table import METRICS, Rows, as_table, means
from sfumato_plugins.benches.targets import targets

Say = Callable[[str], None]
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
    steps: bool = False,
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
        scribbles: Also measure each still with a few strokes for a trimap, as "NAME scribbles".
        cost: Also time sfumato on one photograph at several sizes: seconds against pixels in the band.
        steps: Also time the first photograph with each thing done for speed undone.
        rows: Where measured rows are kept; default ROWS_FILE in the current folder with `full`, else nowhere.
        say: Gets one line for each thing done, for people.

    Returns:
        The bench document: bench, version, device, rows, means, targets, and beside them ablations (rows like the
        others), foreground (rows: case, method, psnr over 18 % grey, residual), settings; with `full` also held. Units:
        SAD, grad, conn and MESSDdt in thousands, mse x 1e3, dtSSD x 100; seconds a frame.

    Raises:
        RequestError: nothing to measure in the folder, an unknown method, or PyMatting is missing.
    """
    cases = _cases(Path(data), long, trimap)[:limit]
    _check(data, cases, methods)
    kept = Rows(rows or (Path(ROWS_FILE) if full else None))
    bench = Bench(quality, long, full, device, seed, kept, say)
    bench.warm_up(methods)
    measured = [row for case in cases for row in bench.measure(case, methods)]
    chosen = [method for method in ("sfumato", "closed-form") if not methods or method in methods]
    strokes = [row for case in cases if scribbles for row in bench.measure(scribbled(case), chosen)]
    ablated = [row for case in cases if not methods for row in bench.ablate(case)]
    held = [bench.hold(case) for case in cases if full and case.clip and not methods]
    linear = [case.name for case in cases if case.linear]
    stills = [case for case in cases if not case.linear]
    parts: dict[str, Any] = {
        **_header(device),
        "settings": {"quality": quality, "long": long, "trimap": trimap, "seed": seed, "pymatting": peers.version()},
        "rows": measured + strokes,
        "means": means(measured),
        "ablations": ablated,
        "foreground": bench.foregrounds,
        "targets": targets(measured + strokes, linear, ablated, held, bench.foregrounds),
        "held": held,
        "scribbles": means(strokes) if strokes else None,
        "cost": extras.cost(Path(data), cases, quality, device, say) if cost else None,
        "steps": time_steps(Path(data), stills[0], quality, long, device, say) if steps and stills else None,
    }
    optional = ("held", "scribbles", "cost", "steps")
    return {name: part for name, part in parts.items() if part or name not in optional}


def _check(data: Path, cases: Sequence[Case], methods: Sequence[str] | None) -> None:
    from sfumato.errors import RequestError

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


def _header(device: str) -> dict[str, Any]:
    import sfumato
    from sfumato.device import describe, pick_device

    return {"bench": "matte", "version": sfumato.__version__, "device": describe(pick_device(device))}


def _cases(data: Path, long: int, trimap: int) -> list[Case]:
    if not data.is_dir():
        return []
    found = find_stills(data, long, trimap) + find_clips(data)
    if not found and list(data.glob("plate.*.exr")):
        return [case for case in find_clips(data.parent) if case.name == data.name]
    return found


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
        ("held", ("case", "frames", "sigma")),
        ("cost", ("case", "long", "pixels", "band", "seconds", "microseconds_a_band_pixel")),
        ("steps", ("step", "undone", "seconds", "undone_seconds", "times")),
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
