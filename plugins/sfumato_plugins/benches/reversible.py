"""`sfumato bench reversible`: what a deep stack costs to train reversibly, and whether it is exact.

Blocks are those of a ViT (attention and a feed-forward net behind norms), 8 x 197 tokens of width 256, float32.

`peak`: megabytes of tensors alive at once above the start, gradients of weights not counted (they are there before); `a
block`: how much more each further block needs; `process`: the process's own peak so far. `seconds`: a step, forward and
back, the least of some; `over`: that over checkpointing of every block. `lost`: states that did not come back to the
bit; `unlike`: gradients that are not those of kept states. `seen`: share of faults of one bit that were mended before a
gradient was wrong. `change`: RMS that rounding to a level makes at inference, over the answer's own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.place_measure import target
from sfumato_plugins.benches.table import as_table

if TYPE_CHECKING:
    from torch import Tensor, nn

Row = dict[str, Any]
Say = Callable[[str], None]
WAYS = ("autograd", "checkpoints", "reversible", "reversible, 4 bits")
BATCH, TOKENS, WIDTH, LEVEL = 8, 197, 256, 9
DEPTHS, FULL_DEPTHS, BITS = (6, 24, 96), (6, 12, 24, 48, 96), (1, 2, 4, 8)


def run(*, full: bool = False, say: Say = lambda line: None) -> dict[str, Any]:
    """Measure. full: Every depth."""
    import sfumato
    from sfumato.device import describe, pick_device

    depths = FULL_DEPTHS if full else DEPTHS
    rows = memory(depths, say)
    for part in (timing, exactness, faults, inference):
        rows += part(depths)
        say(f"{part.__name__}: done")
    return {
        "bench": "reversible",
        "version": sfumato.__version__,
        "device": describe(pick_device("cpu")),
        "settings": {"full": full, "batch": BATCH, "tokens": TOKENS, "width": WIDTH, "level": LEVEL},
        "rows": rows,
        "means": {},
        "targets": _targets(rows),
    }


def memory(depths: tuple[int, ...], say: Say) -> list[Row]:
    """The peak of a step at each depth, each way; plain autograd up to 24 blocks."""
    import resource

    from sfumato.train.live_tensors import LiveTensors

    rows: list[Row] = []
    for way in WAYS:
        first: tuple[int, float] | None = None
        for depth in depths:
            if way == WAYS[0] and depth > 24:
                continue
            blocks, x = _stack(depth), _given()
            with LiveTensors() as live:
                _step(way, blocks, x)
            peak = live.peak / 1e6
            first = first or (depth, peak)
            more = (peak - first[1]) / (depth - first[0]) if depth > first[0] else None
            process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append(
                {"case": "memory", "method": way, "blocks": depth, "peak": peak, "a block": more, "process": process}
            )
            say(f"{way}, {depth} blocks: {peak:.0f} MB")
    return rows


def timing(depths: tuple[int, ...]) -> list[Row]:
    """Seconds of the processor for a step of 12 blocks, each way in turn."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    blocks, x = _stack(12), _given()
    for _ in range(4):
        for way in WAYS:
            began = time.process_time()
            _step(way, blocks, x)
            taken[way].append(time.process_time() - began)
    least = {way: min(seconds[1:]) for way, seconds in taken.items()}  # the first warms up
    return [
        {"case": "time", "method": way, "blocks": 12, "seconds": least[way], "over": least[way] / least[WAYS[1]]}
        for way in WAYS
    ]


def exactness(depths: tuple[int, ...]) -> list[Row]:
    """States that did not come back, with dropout under bfloat16 autocast; gradients unlike those of kept states."""
    import torch

    from sfumato.train.chain import Chain
    from sfumato.train.reversible import Reversible

    rows = []
    for depth in depths:
        for bits in BITS:
            blocks, x = _stack(depth, 32, 0.1), torch.randn(2, 10, 32, generator=_drawn(depth))
            with torch.autocast("cpu", torch.bfloat16):
                chain = Chain(list(blocks), lambda block, states, given: (block(states[0]),), (x,), bits, LEVEL, False)
                first = chain.first[0].clone()
                for _ in blocks:
                    chain.forward(())
                for _ in blocks:
                    chain.back(())
            lost = int((chain.now[0] != first).sum()) + chain.redone
            found = []
            for keep in (False, True):
                whole = Reversible(list(blocks), bits, LEVEL, keep=keep, generator=_drawn(1))
                found.append(_gradients(blocks, x, whole))
            unlike = sum(not torch.equal(a, b) for a, b in zip(*found))
            rows.append(
                {"case": "exact", "method": f"reversible, {bits} bits", "blocks": depth, "lost": lost, "unlike": unlike}
            )
    return rows


def faults(depths: tuple[int, ...]) -> list[Row]:
    """One side bit turned, anywhere: is it seen, and are the gradients those of no fault?"""
    import warnings

    import torch

    from sfumato.train.reversible import Reversible

    blocks, x, trials = _stack(12, 32), torch.randn(2, 10, 32, generator=_drawn(0)), 22
    known, mended = _gradients(blocks, x, Reversible(list(blocks), generator=_drawn(2))), 0
    for trial in range(trials):
        whole = Reversible(list(blocks), generator=_drawn(2))
        blocks.zero_grad()
        given = x.clone().requires_grad_()
        out = whole(given)
        node = out.grad_fn
        while not hasattr(node, "chain"):
            node = node.next_functions[0][0]
        node.chain.left[1 + trial % 11].packed[0][3 + trial] ^= 1 << trial % 8
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out.square().sum().backward()
        found = [given.grad, *[p.grad for p in blocks.parameters()]]
        mended += whole.redone == 1 and all(a is not None and torch.equal(a, b) for a, b in zip(found, known))
    return [{"case": "faults", "method": "reversible", "blocks": 12, "seen": mended / trials}]


def inference(depths: tuple[int, ...]) -> list[Row]:
    """What rounding to the level would change in the answer of 48 blocks."""
    import torch

    from sfumato.train.lattice import from_whole, to_whole

    blocks, x = _stack(48, 64), torch.randn(2, 50, 64, generator=_drawn(0))
    rows = []
    with torch.no_grad():
        known = x
        for block in blocks:
            known = block(known)
        for level in (LEVEL, 11):
            whole = to_whole(x, level)
            for block in blocks:
                shown = from_whole(whole, level)
                whole = whole + to_whole(block(shown) - shown, level)
            change = (from_whole(whole, level) - known).square().mean().sqrt() / known.square().mean().sqrt()
            rows.append({"case": "inference", "method": f"level {level}", "blocks": 48, "change": float(change)})
    return rows


def _step(way: str, blocks: nn.ModuleList, x: Tensor) -> None:
    from torch.utils.checkpoint import checkpoint

    from sfumato.train.reversible import Reversible

    if way.startswith("reversible"):
        out = Reversible(list(blocks), 4 if "4" in way else 1, LEVEL, generator=_drawn(3))(x)
    else:
        out = x
        for block in blocks:
            out = block(out) if way == WAYS[0] else checkpoint(block, out, use_reentrant=False)
    out.square().sum().backward()


def _gradients(blocks: nn.ModuleList, x: Tensor, call: Callable[[Tensor], Tensor]) -> list[Tensor]:
    blocks.zero_grad()
    given = x.clone().requires_grad_()
    call(given).square().sum().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    return [given.grad, *[p.grad.clone() for p in blocks.parameters() if p.grad is not None]]


def _drawn(seed: int) -> Any:
    import torch

    return torch.Generator().manual_seed(seed)


def _given() -> Tensor:
    import torch

    return torch.randn(BATCH, TOKENS, WIDTH, generator=_drawn(0), requires_grad=True)


def _stack(depth: int, width: int = WIDTH, dropout: float = 0.0) -> nn.ModuleList:
    """Blocks of a ViT, their gradients at hand."""
    import torch
    from torch import nn

    blocks = [nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, "gelu", batch_first=True, norm_first=True)
              for _ in range(depth)]  # fmt: skip
    generator = _drawn(depth)
    for block in blocks:
        for parameter in block.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter, generator=generator)
            parameter.grad = torch.zeros_like(parameter)
    return nn.ModuleList(blocks)


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
    parts = []
    for case, names in columns.items():
        rows = [row for row in document["rows"] if row["case"] == case]
        parts.append(as_table(rows, ("method", "blocks", *names)))
    told = [
        f"{'met   ' if t['met'] else 'MISSED'} {t['name']}: {t['value']} ({t['bound']})" for t in document["targets"]
    ]
    return "\n\n".join([*parts, "\n".join(told)])
