"""`sfumato bench reversible`: what a deep stack costs to train reversibly, and whether it is exact.

Blocks are those of a ViT (attention and a feed-forward net behind norms), 8 x 197 tokens of width 256, float32.

`peak`: megabytes of tensors alive at once above the start, gradients of weights not counted (they are there before); `a
block`: how much more each further block needs; `process`: the process's own peak so far. `seconds`: a step, forward and
back, the least of some; `over`: that over checkpointing of every block. `lost`: states that did not come back to the
bit; `unlike`: gradients that are not those of kept states. `seen`: share of faults of one bit that were mended before a
gradient was wrong. `change`: RMS that rounding to a level makes at inference, over the answer's own.
With data, `sfumato_plugins.benches.vit` is part of it.
"""

from __future__ import annotations

from typing import Any, Callable

from sfumato_plugins.benches import vit
from sfumato_plugins.benches.reversible_cost import memory, timing
from sfumato_plugins.benches.reversible_exact import exactness, faults, inference
from sfumato_plugins.benches.reversible_stacks import BATCH, LEVEL, TOKENS, WIDTH
from sfumato_plugins.benches.table import as_table, target

Row = dict[str, Any]
Say = Callable[[str], None]
DEPTHS, FULL_DEPTHS = (6, 24, 96), (6, 12, 24, 48, 96)


def run(
    *,
    full: bool = False,
    data: str | None = None,
    seeds: list[int] | None = None,
    work: str | None = None,
    device: str = "cpu",
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Measure.

    Args:
        full: Every depth, and networks that learn from all pictures.
        data: A folder with cifar10_jpeg in it: also what a vision transformer learns there.
        seeds: Of that, up to 10; default 0, with `full` 0 to 4. work: Where its runs are kept. device: Of that.

    Raises:
        InputError: the pictures are not there. RequestError: too many seeds; no such device.
    """
    import sfumato
    from sfumato.device import describe, pick_device

    depths = FULL_DEPTHS if full else DEPTHS
    learned = vit.measure(data, full, seeds, work, device, say) if data else []
    rows = [*memory(depths, say), *exactness(depths)]
    say("exactness: done")
    for part in (timing, faults, inference):
        rows += part()
        say(f"{part.__name__}: done")
    return {
        "bench": "reversible",
        "version": sfumato.__version__,
        "device": describe(pick_device("cpu")),
        "settings": {"full": full, "batch": BATCH, "tokens": TOKENS, "width": WIDTH, "level": LEVEL},
        "rows": [*rows, *learned],
        "means": {},
        "targets": [*_targets(rows), *(vit.targets(learned) if learned else [])],
    }


def _targets(rows: list[Row]) -> list[Row]:
    deepest = {row["method"]: row for row in rows if row["case"] == "memory"}
    side = {"reversible": 1, "reversible, 4 bits": 4}
    found = [target("peak at 96 blocks, MB", deepest["reversible"]["peak"], "<=", 100)]
    for way, bits in side.items():
        bound = 1.2 * BATCH * TOKENS * WIDTH * bits / 8 / 1e6
        found.append(target(f"{way}: MB a block", deepest[way]["a block"], "<=", bound))
    over = next(row["over"] for row in rows if row["case"] == "time" and row["method"] == "reversible")
    found.append(target("seconds over checkpointing", over, "<=", 1.2))
    exact = [row for row in rows if row["case"] == "exact"]
    found.append(target("states lost", sum(row["lost"] for row in exact), "<=", 0))
    found.append(target("gradients unlike those of kept states", sum(row["unlike"] for row in exact), "<=", 0))
    found.append(target("faults seen", next(row["seen"] for row in rows if "seen" in row), ">=", 1.0))
    found.append(target("inference at level 9", next(row["change"] for row in rows if "change" in row), "<=", 2.5e-3))
    return found


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    columns = {
        "memory": ("peak", "a block", "process"), "time": ("seconds", "over"), "exact": ("lost", "unlike"),
        "faults": ("seen",), "inference": ("change",),
    }  # fmt: skip
    tables = {case: ("method", "blocks", *names) for case, names in columns.items()} | vit.COLUMNS
    parts = []
    for case, names in tables.items():
        if rows := [row for row in document["rows"] if row["case"] == case]:
            parts.append(as_table(rows, names))
    told = [
        f"{'met   ' if t['met'] else 'MISSED'} {t['name']}: {t['value']} ({t['bound']})" for t in document["targets"]
    ]
    return "\n\n".join([*parts, "\n".join(told)])
