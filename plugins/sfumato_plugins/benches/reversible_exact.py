"""Whether reversible training is exact: states, gradients, faults of one bit, and what rounding changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.reversible_stacks import LEVEL, drawn, stack

if TYPE_CHECKING:
    from torch import Tensor, nn

Row = dict[str, Any]
BITS = (1, 2, 4, 8)


def exactness(depths: tuple[int, ...]) -> list[Row]:
    """States that did not come back, with dropout under bfloat16 autocast; gradients unlike those of kept states."""
    import torch

    from sfumato.train.chain import Chain
    from sfumato.train.reversible import Reversible

    rows = []
    for depth in depths:
        for bits in BITS:
            blocks, x = stack(depth, 32, 0.1), torch.randn(2, 10, 32, generator=drawn(depth))
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
                whole = Reversible(list(blocks), bits, LEVEL, keep=keep, generator=drawn(1))
                found.append(_gradients(blocks, x, whole))
            unlike = sum(not torch.equal(a, b) for a, b in zip(*found))
            rows.append(
                {"case": "exact", "method": f"reversible, {bits} bits", "blocks": depth, "lost": lost, "unlike": unlike}
            )
    return rows


def faults() -> list[Row]:
    """One side bit turned, anywhere: is it seen, and are the gradients those of no fault?"""
    import warnings

    import torch

    from sfumato.train.reversible import Reversible

    blocks, x, trials = stack(12, 32), torch.randn(2, 10, 32, generator=drawn(0)), 22
    known, mended = _gradients(blocks, x, Reversible(list(blocks), generator=drawn(2))), 0
    for trial in range(trials):
        whole = Reversible(list(blocks), generator=drawn(2))
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


def inference() -> list[Row]:
    """What rounding to the level would change in the answer of 48 blocks."""
    import torch

    from sfumato.train.lattice import from_whole, to_whole

    blocks, x = stack(48, 64), torch.randn(2, 50, 64, generator=drawn(0))
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


def _gradients(blocks: nn.ModuleList, x: Tensor, call: Callable[[Tensor], Tensor]) -> list[Tensor]:
    blocks.zero_grad()
    given = x.clone().requires_grad_()
    call(given).square().sum().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    return [given.grad, *[p.grad.clone() for p in blocks.parameters() if p.grad is not None]]
