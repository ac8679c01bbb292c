"""`sfumato bench hsic`: the tables of the HSIC bottleneck beside ours, tuned back-propagation and local heads.

Test accuracies in per cent. `units`: of an unformatted network, whose classes were given units by its training data
(Hungarian); `nearest`: of its nearest class mean; `format`: of a linear layer on the last hidden layer. `told`: nHSIC
of the last layer and the classes on training samples; at most 9 for ten. `paper`: read off the figures of its authors'
repository, five epochs. Rates and betas were chosen on 10,000 pictures of the training set, with seeds not measured
here. Bodies are 5 hidden layers of 1024 units with batch norm. `seconds`: of one core. The rows of faces are told in
`hsic_face`.
"""

from __future__ import annotations

import math
import pathlib
from typing import Any, Callable

from sfumato_plugins.benches.hsic_claims import claims
from sfumato_plugins.benches.hsic_data import load
from sfumato_plugins.benches.hsic_face import COLUMNS as FACE_COLUMNS
from sfumato_plugins.benches.hsic_face import face_rows
from sfumato_plugins.benches.hsic_sets import BETA, COLUMNS, EPOCHS, PEER_RATES, RATE, SIGMA, set_rows
from sfumato_plugins.benches.table import Rows, as_table, target

Row = dict[str, Any]
Say = Callable[[str], None]
SETS = ("mnist", "fashion", "cifar10")
LEAST = {"mnist": (96.9, 97.5), "fashion": (86.5, 87.5), "cifar10": (48.8, 50.0)}  # units, format
CONV_LEAST = 61.0
ROWS_FILE = "bench_hsic_rows.jsonl"


def run(
    data: pathlib.Path,
    *,
    full: bool = False,
    rows: pathlib.Path | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Measure. Rows are kept as they are measured with `full`, in ROWS_FILE unless `rows` says where.

    Args:
        data: Holds mnist/, fashion/, cifar10_jpeg/; sets that are not there are said to be missing.
        full: Three seeds also of the convolutional body and the peers; else one.
        rows: Where measured rows are kept.
        say: Gets a line for each thing done.

    Raises:
        InputError: no set is there; one is damaged.
    """
    import sfumato
    from sfumato.errors import InputError

    kept = Rows(rows or (pathlib.Path(ROWS_FILE) if full else None))
    made: list[Row] = []
    missing = []
    for name in SETS:
        pictures = load(data, name)
        if pictures is None:
            missing.append(name)
            say(f"{name}: not in {data}")
            continue
        made += set_rows(name, pictures, full, kept, say)
        if name == "mnist":
            made += claims(pictures, say)
    if len(missing) == len(SETS):
        raise InputError(
            f"{data} holds none of {', '.join(SETS)}", "give the folder with mnist/ and cifar10_jpeg/ in it"
        )
    made += face_rows(kept, say, full)
    return {
        "bench": "hsic",
        "version": sfumato.__version__,
        "device": "cpu",
        "settings": {
            "full": full,
            "missing": missing,
            "sigma": SIGMA,
            "beta": BETA,
            "epochs": EPOCHS,
            "rate": RATE,
            "peers": PEER_RATES,
        },
        "rows": made,
        "means": _means(made),
        "targets": _targets(made),
    }


def _means(rows: list[Row]) -> dict[str, Row]:
    """By case and method, over seeds."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["case"] in SETS:
            found.setdefault(f"{row['case']}, {row['method']}", []).append(row)
    names = ("units", "nearest", "format", "told", "test", "seconds")
    return {
        label: {name: math.fsum(r[name] for r in some) / len(some) for name in names if name in some[0]}
        for label, some in found.items()
    }


def _targets(rows: list[Row]) -> list[Row]:
    found = []
    means = _means(rows)
    for name, (units, form) in LEAST.items():
        mean = means.get(f"{name}, hsic")
        if mean:
            found.append(target(f"{name}, units, mean of seeds", mean["units"], ">=", units))
            found.append(target(f"{name}, format, mean of seeds", mean["format"], ">=", form))
    conv = means.get("cifar10, hsic, convolutional")
    if conv:
        found.append(target("cifar10, convolutional, format", conv["format"], ">=", CONV_LEAST))
    return found + [target(row["claim"], row["value"], row["sign"], row["bound"]) for row in rows if "claim" in row]


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    rows = document["rows"]
    missing = document["settings"]["missing"]
    parts = [as_table([row for row in rows if row["case"] in SETS], COLUMNS)]
    for case, columns in (("depth", ("layers", "method", "test", "seconds")),
                          ("sigma", ("method", "test", "paper")),
                          ("cost", ("layers", "method", "flops", "seconds", "peak", "process"))):  # fmt: skip
        some = [row for row in rows if row["case"] == case]
        parts.append(as_table(some, ("case", *columns)))
    parts.append(as_table([row for row in rows if row["case"] in ("face", "day")], FACE_COLUMNS))
    parts.append(as_table(document["targets"], ("name", "value", "bound", "met")))
    parts += [f"not measured, because the data has no folder of it: {', '.join(missing)}"] if missing else []
    return "\n\n".join([*parts, f"sfumato {document['version']}, {document['device']}"])
