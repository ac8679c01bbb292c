"""Training deep stacks of residual blocks in the memory of one: states are rebuilt bit for bit on the way back.

The blocks and their weights are untouched; at inference they run as they always did. See `sfumato.train.chain` for the
equations and their source.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from sfumato.errors import RequestError
from sfumato.train.chain import Chain, Unfit
from sfumato.train.streams import Arguments, States, Streams, run_plainly

BITS = (1, 2, 4, 8)


@dataclass
class Reversible:
    """Residual blocks, run one after another in training with the memory of one.

    Call it as a block is called; what flows is replaced from block to block, all other arguments stay. Gradients reach
    parameters block by block, and every tensor among the arguments that asks for one.

    Args:
        blocks: `block(x, *conditioning) -> x`; answers what `streams` says.
        gamma_bits: |gamma| = 2^-gamma_bits, and the bits kept for each number and block: 1, 2, 4 or 8. 1 trains from
            scratch, 4 or 8 disturb a network that is trained already less.
        level: Activations are whole numbers of 2^-level.
        streams: What flows.
        plain: Blocks that are run with checkpoints instead, and why; those that turn out not to fit are added.
        keep: Keep states instead of rebuilding them: for comparing.
        generator: Draws the signs of gamma, and a seed for what blocks draw; default: torch's own.
        redone: How often a state was not rebuilt and a run was done again with checkpoints.

    Raises:
        RequestError: on a call: bits or level cannot be; an activation does not fit; a block answers differently twice.
    """

    blocks: Sequence[nn.Module]
    gamma_bits: int = 1
    level: int = 9
    streams: Streams = field(default_factory=Streams)
    plain: dict[int, str] = field(default_factory=dict)
    keep: bool = False
    generator: torch.Generator | None = None
    redone: int = 0

    def __post_init__(self) -> None:
        if self.gamma_bits not in BITS:
            raise RequestError(f"gamma of {self.gamma_bits} bits", f"one of {', '.join(map(str, BITS))}")
        if not 1 <= self.level <= 20:
            raise RequestError(f"a level of {self.level}", "1 to 20; 9 is usual")
        self._look(range(len(self.blocks)))

    def use(self, blocks: Iterable[nn.Module]) -> None:
        """Run these from now on; what is known of blocks that stay in their place is kept."""
        before, self.blocks = self.blocks, list(blocks)
        others = [n for n, block in enumerate(self.blocks) if n >= len(before) or before[n] is not block]
        gone = {*others, *range(len(self.blocks), len(before))}
        self.plain = {number: why for number, why in self.plain.items() if number not in gone}
        self._look(others)

    def _look(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if _keeps_statistics(self.blocks[number]):
                self.plain.setdefault(number, "keeps running statistics, which a second look would count twice")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the blocks. Without gradients, or with a single block, exactly as a loop over them would."""
        if not torch.is_grad_enabled() or len(self.blocks) < 2:
            return run_plainly(self.blocks, self.streams, args, kwargs)
        states = self.streams.of(args, kwargs)
        spec = Arguments(self.streams, args, kwargs)
        number, answer = 0, None
        while number < len(self.blocks):
            if number in self.plain:
                answer = _once(self.blocks[number], spec.args(states), spec.kwargs(states))
                states, number = self.streams.read(answer), number + 1
                continue
            end = next((k for k in range(number, len(self.blocks)) if k in self.plain), len(self.blocks))
            states, number = self._chained(spec, states, number, end)
            answer = self.streams.write(states)
        return answer

    def _chained(self, spec: Arguments, states: States, begin: int, end: int) -> tuple[States, int]:
        """Blocks begin to end, or to the first that turns out not to fit; the states, and the block that is next."""
        dtypes = [state.dtype for state in states]
        chain = Chain(self.blocks[begin:end], spec.call, states, self.gamma_bits, self.level, self.keep,
                      self.generator)  # fmt: skip
        flowing: tuple[Tensor, ...] = states
        for number in range(end - begin):
            weights = [p for p in chain.blocks[number].parameters() if p.requires_grad]
            try:
                flowing = _Step.apply(self, chain, len(spec.tensors), *flowing, *spec.tensors, *weights)  # type: ignore[no-untyped-call]
            except Unfit as reason:
                self.plain[begin + number] = str(reason)
                end = begin + number
                break
        out = flowing[-len(states) :]
        return tuple(x.to(dtype) for x, dtype in zip(out, dtypes, strict=True)), end


def _once(block: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A block outside a chain: with a checkpoint, unless what it counts would be counted twice."""
    if _keeps_statistics(block):
        return block(*args, **kwargs)
    return checkpoint(block, *args, use_reentrant=False, **kwargs)


def _keeps_statistics(block: nn.Module) -> bool:
    norms = (part for part in block.modules() if isinstance(part, nn.modules.batchnorm._NormBase))
    return any(norm.track_running_stats for norm in norms)


class _Step(torch.autograd.Function):
    """One block of a chain: (earlier states, states, conditions, weights) -> (states, later states)."""

    @staticmethod
    def forward(ctx: Any, owner: Reversible, chain: Chain, conditions: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        streams = len(chain.first)
        ctx.owner, ctx.chain, ctx.streams, ctx.number = owner, chain, streams, chain.done
        flowing = streams if chain.done == 0 else 2 * streams
        given = tensors[flowing : flowing + conditions]
        ctx.weights = tensors[flowing + conditions :]
        ctx.save_for_backward(*given)
        after = chain.forward([tensor.detach() for tensor in given])
        now = tensors[flowing - streams : flowing]
        if chain.done == 1:
            now = chain.states(chain.first)
        return (*now, *chain.states(after))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        chain: Chain = ctx.chain
        if chain.done != ctx.number + 1:
            raise RuntimeError("a reversible stack can be gone back through once: states are rebuilt, not kept")
        given = [
            tensor.detach().requires_grad_(tensor.requires_grad and tensor.is_floating_point())
            for tensor in ctx.saved_tensors
        ]
        before = chain.redone
        shown, changes = chain.back(given)
        if chain.redone != before:
            ctx.owner.redone += 1
            warnings.warn(
                f"a state before block {ctx.number} was not rebuilt; done again with checkpoints", stacklevel=2
            )
        at, after = grads[: ctx.streams], grads[ctx.streams :]
        gammas: Sequence[Tensor | float] = chain.gammas(ctx.number, shown) if ctx.number else [0.0] * ctx.streams
        pushed = [(1 + gamma) * g for gamma, g in zip(gammas, after, strict=True)]
        wanted = [*shown, *[t for t in given if t.requires_grad], *ctx.weights]
        found = torch.autograd.grad(changes, wanted, pushed, allow_unused=True)
        along = zip(at, after, gammas, found[: ctx.streams], strict=True)
        states = [g + (1 - gamma) * h + (0 if j is None else j) for g, h, gamma, j in along]
        earlier = [gamma * h for gamma, h in zip(gammas, after, strict=True)] if ctx.number else []
        rest = iter(found[ctx.streams :])
        on = [next(rest) if tensor.requires_grad else None for tensor in given]
        return (None, None, None, *earlier, *states, *on, *rest)


class ReversibleBlocks(nn.ModuleList):
    """A network's list of blocks; in training with gradients, a loop over it meets one runner that is all of them.

    Put it where the network keeps its list: names and weights stay what they are, and so does inference. The runner is
    a `Reversible` of the blocks that are in the list at that moment: called as a block is, but no module, and
    `enumerate` counts it as one. A network that takes its blocks by number or by slice meets the blocks themselves,
    which then are trained as they always were.
    """

    def __init__(
        self, blocks: Iterable[nn.Module], gamma_bits: int = 1, level: int = 9, streams: Streams | None = None
    ) -> None:
        super().__init__(blocks)
        self.stack = Reversible(list(super().__iter__()), gamma_bits, level, streams or Streams())

    def __iter__(self) -> Iterator[Any]:
        if not (self.training and torch.is_grad_enabled()):
            return super().__iter__()
        self.stack.use(super().__iter__())
        return iter([self.stack])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return nn.ModuleList(list(super().__iter__())[index])
        return super().__getitem__(index)


def reversible(blocks: Iterable[nn.Module], gamma_bits: int = 1, level: int = 9, **more: Any) -> Reversible:
    """`Reversible` of any residual blocks; `more` are its other arguments."""
    return Reversible(list(blocks), gamma_bits, level, **more)
