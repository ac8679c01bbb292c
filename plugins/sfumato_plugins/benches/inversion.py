"""`sfumato bench inversion`: BDIA beside other inversions where the truth is known.

A network trained on a mixture of Gaussians would answer what the mixture does, and its exact probability flow says
where every latent belongs. Errors are RMS, latents of unit size. `trip` is image -> noise -> image in float64,
`trip_f32` the largest error in float32, `latent` the distance of the noise from the exact flow's, `sample` that of the
picture, `calls` what an inversion asks of the network. One latent in forty lies between two components and outweighs
all others in an RMS: `trip_median` does not see it.

Under guidance the mixture has a prompt, for null-text inversion to fit its empty one: `gradients` are the calls that it
differentiates, and `reached` is how much of an edit lies where the target prompt is.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from sfumato_plugins.benches.inversion_exact import cost_rows, lattice_rows, order_rows
from sfumato_plugins.benches.inversion_guards import REFUSED, guard_rows, refusal_rows
from sfumato_plugins.benches.inversion_guided import guided_rows
from sfumato_plugins.benches.inversion_peers import draw_rows, edm_rows, flow_rows, vp_rows
from sfumato_plugins.benches.inversion_pipelines import pipeline_rows, pipeline_targets
from sfumato_plugins.benches.inversion_yard import Yard
from sfumato_plugins.benches.table import as_table

Row = dict[str, Any]
Say = Callable[[str], None]
SIZE, COUNT = 256, 32  # dimensions, latents
TABLES = (
    vp_rows,
    draw_rows,
    guided_rows,
    flow_rows,
    edm_rows,
    lattice_rows,
    order_rows,
    guard_rows,
    refusal_rows,
    cost_rows,
)


def run(say: Say = lambda line: None, *, quick: bool = False, full: bool = False, seed: int = 0) -> dict[str, Any]:
    """Measure everything; some four minutes of one core, 20 seconds if quick.

    Args:
        say: Gets a line for each case, for people.
        quick: Fewer cases, of the same mixture: what is measured comes out the same.
        full: Every trip inside pipelines too, and a network of Stable Diffusion 1.5's size: half an hour, 4 GB.
        seed: Of the mixture and its latents.

    Returns:
        The bench document.
    """
    import sfumato
    from sfumato.device import describe, pick_device

    yard = Yard(seed, SIZE, COUNT)
    rows: list[Row] = []
    for table in TABLES:
        before = time.perf_counter()
        rows.extend(table(yard, quick))
        say(f"{table.__name__.replace('_', ' ')}: {time.perf_counter() - before:.1f} s")
    rows.extend(pipeline_rows(say, quick, full))
    return {
        "bench": "inversion",
        "version": sfumato.__version__,
        "device": describe(pick_device("cpu")),
        "settings": {"quick": quick, "full": full, "seed": seed, "dimensions": yard.size, "latents": yard.count},
        "rows": rows,
        "means": {},
        "targets": _targets(rows),
    }


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    columns = ("method", "trip", "trip_median", "trip_f32", "latent", "std", "sample", "smoothed", "calls")
    parts = []
    for case in dict.fromkeys(row["case"] for row in document["rows"]):
        rows = [row for row in document["rows"] if row["case"] == case]
        shown = [c for c in columns if any(c in row for row in rows)]
        shown += [c for c in rows[0] if c not in (*columns, "case")]
        printed = [{k: f"{v:.3g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        parts.append(f"{case}\n{as_table(printed, tuple(shown))}")
    parts.append(as_table(document["targets"], ("name", "value", "bound", "met")))
    return "\n\n".join([*parts, f"sfumato {document['version']}, {document['device']}"])


def _targets(rows: list[Row]) -> list[dict[str, Any]]:
    found = {(row["case"], row["method"]): row for row in rows}
    log, uniform, order = "VP, even log sigma, N 50", "VP, uniform time, N 50", "order: sample error, even log sigma"
    asked: list[tuple[str, float, str, float]] = [
        ("trip in float32, gamma 1", found[log, "BDIA 1.0"]["trip_f32"], "<=", 2e-5),
        ("trip in float32, gamma 0.96", found[log, "BDIA 0.96"]["trip_f32"], "<=", 5e-6),
        ("order, gamma 1", found[order, "BDIA 1.0"]["order"], ">=", 1.95),
        ("order, optimal gamma", found[order, "BDIA optimal"]["order"], ">=", 1.95),
        ("latent error, even log sigma, auto", found[log, "BDIA auto, lattice"]["latent"], "<=", 5e-3),
        ("latent error, uniform time, auto", found[uniform, "BDIA auto, lattice"]["latent"], "<=", 0.03),
        ("sample error, even log sigma, optimal", found[log, "BDIA optimal"]["sample"], "<=", 6e-4),
    ]
    draws = {row["method"]: row for row in rows if "latent_median" in row}
    asked += [
        ("latent error, median over more mixtures, gamma 1", draws["BDIA 1.0"]["latent_median"], "<=", 5e-3),
        ("sample error, worst of more mixtures, optimal", draws["BDIA optimal"]["sample_rms_worst"], "<=", 6e-4),
    ]
    for gamma in (0.5, 0.9):
        row = found[order, f"BDIA {gamma}"]
        off = abs(row["of_ddim"] / row["predicted"] - 1)
        asked.append((f"error over DDIM's against (1 - g) / (1 + g), gamma {gamma}", off, "<=", 0.15))
    trips = [row for row in rows if "equal" in row]
    asked.append(("trips not equal to the bit", sum(r["of"] - r["equal"] for r in trips), "<=", 0))
    for gamma, bound in ((1.0, 0), (0.96, 6)):
        most = max(r["bits_50"] for r in trips if r["method"].endswith(f"gamma {gamma}"))
        asked.append((f"side bits an element, gamma {gamma}, N 50", most, "<=", bound))
    for row in (row for row in rows if "faults" in row):
        kind = "not refused" if row["case"] == REFUSED else "one bit changed, not caught"
        asked.append((f"{kind}: {row['method']}", row["faults"] - row["caught"], "<=", 0))
    calls = found[log, "BDIA auto, lattice"]["calls"] - 50
    asked.append(("calls besides one a step", calls, "<=", 4))
    asked += pipeline_targets(rows)
    return [
        {"name": n, "value": v, "bound": f"{sign} {b:g}", "met": v <= b if sign == "<=" else v >= b}
        for n, v, sign, b in asked
    ]
