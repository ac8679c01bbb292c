"""`sfumato bench edm`: does BDIA-EDM make better pictures than EDM at equal calls of the network?

A class-conditional EDM denoiser is trained on CIFAR-10, and every sampler starts from the same noise. `frechet` is the
distance of its pictures from the training pictures, on the last features of a CIFAR-10 residual network that others
trained; such distances compare within this table only. `error` is how far its pictures are from where the exact flow
of this network leads, RMS, pictures in -1 .. 1. `chosen` is our gamma with the least distance on a seed that is not
counted; EDM has no such knob. `low` and `high` bound the mean over seeds at 95 % (Student's t).

The weights it trains stay in its work folder: the pictures are CIFAR-10's, lossy here and for research only, so the
product ships neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from sfumato_plugins.benches.edm_measure import Bench, interval
from sfumato_plugins.benches.edm_samples import Path
from sfumato_plugins.benches.table import as_table

Row = dict[str, Any]
Say = Callable[[str], None]
BUDGETS, SEEDS, COUNT = (17, 35), (0, 1, 2), 10_000  # of the whole protocol; 35 calls are EDM's own on CIFAR-10
QUICK_SEEDS, QUICK_COUNT = (0, 1), 500
WORK = "sfumato-bench-edm"


def run(
    data: Path | str,
    *,
    work: Path | str = WORK,
    checkpoint: Path | str | None = None,
    features: str = "resnet20",
    seeds: Sequence[int] | None = None,
    budgets: Sequence[int] | None = None,
    full: bool = False,
    compiled: bool = False,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Train if need be, sample, measure.

    Args:
        data: Holds images/cifar10_jpeg (or the binary version there) and weights/cifar_resnet.
        work: Where checkpoint, pictures and features are kept; a run that was killed goes on from there.
        checkpoint: A trained one; default: the one in `work`, trained there first.
        features: Which residual network, by the beginning of its file's name.
        seeds: Only these; several processes may share the work, one seed each.
        budgets: Calls of the network a picture, odd numbers of 11 or more; default: 17, with `full` also EDM's own 35.
        full: 10,000 pictures a method, seed and budget, from a network trained to the end. Otherwise a few, from
            whatever network there is or a barely trained one: not the numbers to quote.
        compiled: Let torch compile the network; a third faster, needs a C++ compiler.
        say: Gets a line for each thing done, for people.

    Returns:
        The bench document, with `differences` beside its rows: Frechet distances of BDIA-EDM less EDM's, by seed.

    Raises:
        InputError: pictures or weights are missing.
        RequestError: the checkpoint is none, or was trained with other settings; a budget nobody can meet.
    """
    import sfumato
    from sfumato.device import describe as described
    from sfumato.device import pick_device
    from sfumato.errors import RequestError

    allowed = tuple(budgets or (BUDGETS if full else BUDGETS[:1]))
    if any(calls < 11 or calls % 2 == 0 for calls in allowed):
        raise RequestError("Heun's sampler makes an odd number of calls", "give odd numbers of 11 or more")
    bench = Bench(Path(data), Path(work), Path(checkpoint) if checkpoint else None, features, full, compiled, say)
    chosen, count = tuple(seeds or (SEEDS if full else QUICK_SEEDS)), COUNT if full else QUICK_COUNT
    cases = [bench.case(calls, chosen, count) for calls in allowed]
    rows, trip = [row for case in cases for row in case], bench.trip(allowed[0])
    apart = [difference for case in cases for difference in _differences(case)]
    settings = {"full": full, "seeds": chosen, "pictures": count, "features": features, "network": bench.digest}
    return {
        "bench": "edm",
        "version": sfumato.__version__,
        "device": described(pick_device("cpu")),
        "settings": {**settings, "bfloat16": True, "compiled": compiled},
        "rows": [*rows, bench.real(), trip],
        "means": _means(rows),
        "differences": apart,
        "targets": _targets(apart, trip),
    }


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    columns = ("case", "method", "calls", "frechet", "low", "high", "error", "chosen", "off")
    return "\n\n".join(
        (
            as_table(document["rows"], columns),
            "Frechet distance less EDM's, same noise\n"
            + as_table(document["differences"], ("case", "method", "against", "difference", "low", "high")),
            as_table(document["targets"], ("name", "value", "bound", "met")),
            f"sfumato {document['version']}, {document['device']}",
        )
    )


def _differences(rows: list[Row]) -> list[Row]:
    """Ours less theirs, seed by seed: both saw the same noise, so what seeds have in common falls out."""
    theirs = [row for row in rows if row["method"].startswith("EDM")]
    found = []
    for ours in (row for row in rows if row not in theirs):
        for peer in theirs:
            row = {"case": ours["case"], "method": ours["method"], "against": peer["method"]}
            row["chosen"] = ours.get("chosen", False)
            apart = [a - b for a, b in zip(ours["seeds"], peer["seeds"])]
            found.append({**row, **interval("difference", apart), "seeds": apart})
    return found


def _means(rows: list[Row]) -> dict[str, Row]:
    """By method, over the budgets."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["method"], []).append(row)
    return {
        m: {"frechet": sum(r["frechet"] for r in some) / len(some), "cases": len(some)} for m, some in found.items()
    }


def _targets(differences: list[Row], trip: Row) -> list[Row]:
    held = [d for d in differences if d["chosen"]]
    named = [(f"{d['case']}: Frechet distance of BDIA-EDM less {d['against']}'s", d["difference"]) for d in held]
    named.append((f"{trip['case']}: elements off", trip["off"]))
    return [{"name": name, "value": round(value, 4), "bound": 0, "met": value <= 0} for name, value in named]
