"""The chain of reversible steps under `Reversible`: what each keeps, how it is undone, and what gradients it hands on.

Zhang et al., "On Exact Bit-level Reversible Transformers Without Changing Architectures" (BDIA-transformer), with
h_k(x) = block_k(x) - x, gamma_k = +-2^-bits a sample and block, whole numbers n = x 2^level and Q rounding to them:

    n_1     = n_0 + Q[h_0(x_0)]
    n_{k+1} = gamma_k (n_{k-1} + s_{k-1}) + Q[(1 - gamma_k) x_k + (1 + gamma_k) h_k(x_k)]
    n_{k-1} = (n_{k+1} - Q[...]) / gamma_k - s_{k-1}
    g_{k-1} = gamma_k g_{k+1},   g_k += (1 - gamma_k) g_{k+1} + J_h(x_k)' (1 + gamma_k) g_{k+1}

# Differs from the paper: states are 32-bit integers, so that large activations stay exact; each state is sealed, and
# one that is not rebuilt is computed again from the first before a gradient leaves it: errors double with every block.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sfumato.errors import RequestError
from sfumato.train.lattice import check_range, from_whole, lifted, lowered, seal, to_whole
from sfumato.train.replay import Replay
from sfumato.train.streams import States

Call = Callable[[nn.Module, States, Sequence[Tensor]], States]
"""A block, what flows through it, and tensors it is conditioned on: what flows out."""


class Unfit(Exception):  # noqa: N818  (caught where a block is then run in another way)
    """A block cannot be a step of the chain; the message says why."""


class Kept(NamedTuple):
    """What a step leaves behind: side bits of each stream, and the seal of the state before it."""

    packed: tuple[Tensor, ...]
    seal: Tensor


class Chain:
    """One run through consecutive blocks, forwards and back.

    Args:
        blocks: In their order. call: Runs one.
        states: Where it begins, (B, ...) each; any floating dtype, which blocks are given again.
        bits: 1, 2, 4 or 8. level: Of the whole numbers.
        keep: Keep every state instead of rebuilding it: for comparing.
        generator: On the CPU; draws the signs of gamma, and a seed for what blocks draw. None: torch's own.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        call: Call,
        states: States,
        bits: int,
        level: int,
        keep: bool,
        generator: torch.Generator | None = None,
    ) -> None:
        self.blocks, self.call, self.bits, self.level = blocks, call, bits, level
        self.dtypes = tuple(state.dtype for state in states)
        self.first = tuple(to_whole(state.detach(), level) for state in states)
        self.before: States = ()
        self.now = self.first
        self.done = 0
        self.replay = Replay(states[0].device, generator)
        drawn = torch.randint(0, 2, (len(blocks), len(states[0])), generator=generator, dtype=torch.int32)
        self.signs = (2 * drawn - 1).to(states[0].device)
        self.left: list[Kept | None] = []
        self.kept: dict[int, States] | None = {0: self.first} if keep else None
        self.redone = 0

    def sign(self, number: int, like: Tensor) -> Tensor:
        """+-1 of block `number`, (B, 1, ...), int32."""
        return self.signs[number].view(-1, *[1] * (like.dim() - 1))

    def change(self, number: int, states: States, conditions: Sequence[Tensor]) -> tuple[States, States]:
        """x and h(x) of a block at whole states: leaves that gradients are taken of, and float32 with a graph."""
        # With a graph on the way there too, where it is thrown away: attention and others pick other kernels where no
        # gradient is asked for, and a state would not be rebuilt to the bit.
        shown = tuple(from_whole(state, self.level).requires_grad_() for state in states)
        with self.replay.block(number):
            given = tuple(x.to(dtype) for x, dtype in zip(shown, self.dtypes, strict=True))
            answers = self.call(self.blocks[number], given, conditions)
            for answer, x in zip(answers, shown, strict=True):
                if answer is None or answer.shape != x.shape:
                    raise Unfit("does not answer each of its streams in the form it was given")
            changes = tuple(answer.float() - x for answer, x in zip(answers, shown, strict=True))
        return shown, changes

    def rounded(self, number: int, shown: States, changes: States) -> States:
        """Q[h], or Q[(1 - gamma) x + (1 + gamma) h] of all blocks but the first."""
        with torch.no_grad():
            if number == 0:
                return tuple(to_whole(h, self.level) for h in changes)
            return tuple(
                to_whole((1 - gamma) * x + (1 + gamma) * h, self.level)
                for x, h, gamma in zip(shown, changes, self.gammas(number, shown), strict=True)
            )

    def gammas(self, number: int, states: States) -> list[Tensor]:
        """Of each stream, (B, 1, ...), float32."""
        return [self.sign(number, state).float() * 2.0**-self.bits for state in states]

    def states(self, whole: States) -> States:
        """Whole states as float32."""
        return tuple(from_whole(state, self.level) for state in whole)

    def forward(self, conditions: Sequence[Tensor]) -> States:
        """One block on; the whole states after it."""
        number = self.done
        shown, changes = self.change(number, self.now, conditions)
        added = self.rounded(number, shown, changes)
        if number == 0:
            after = self._after(self.now, added)
            self.left.append(None)
        else:
            ups = [lifted(n, self.sign(number, n), self.bits) for n in self.before]
            after = self._after(tuple(up for up, _ in ups), added)
            self.left.append(Kept(tuple(packed for _, packed in ups), seal(self.before)))
        self.before, self.now, self.done = self.now, after, number + 1
        if self.kept is not None:
            self.kept[number + 1] = after
        return after

    def back(self, conditions: Sequence[Tensor]) -> tuple[States, States]:
        """One block back: x and h(x) at the state before it, which is now the current one."""
        number = self.done - 1
        shown, changes = self.change(number, self.before, conditions)
        earlier = self._earlier(number, self.rounded(number, shown, changes))
        if earlier is None:
            self._again(conditions)
            assert self.kept is not None
            self.before = self.kept[number]
            shown, changes = self.change(number, self.before, conditions)
            earlier = self._earlier(number, self.rounded(number, shown, changes))
            if earlier is None:
                raise _moody(number)
        self.left[number] = None
        self.before, self.now, self.done = earlier, self.before, number
        return shown, changes

    def _after(self, base: States, added: States) -> States:
        after = tuple(n + q for n, q in zip(base, added, strict=True))
        for whole in after:
            check_range(whole, self.level)
        return after

    def _earlier(self, number: int, added: States) -> States | None:
        """The state before the one that a block was shown; none before the first. None: it did not answer as before."""
        left = self.left[number]
        if left is None:  # the first, whose input is known
            here = zip(self.now, self.before, added, strict=True)
            return () if all(torch.equal(n, x + q) for n, x, q in here) else None
        if self.kept is not None:
            earlier = self.kept[number - 1]
            ups = [lifted(n, self.sign(number, n), self.bits)[0] for n in earlier]
            same = all(torch.equal(n, up + q) for n, up, q in zip(self.now, ups, added, strict=True))
            return earlier if same else None
        earlier = tuple(
            lowered(n - q, self.sign(number, n), packed, self.bits)
            for n, q, packed in zip(self.now, added, left.packed, strict=True)
        )
        return earlier if torch.equal(seal(earlier), left.seal) else None

    def _again(self, conditions: Sequence[Tensor]) -> None:
        """Every state once more from the first, and kept: what checkpoints would have done.

        Raises:
            RequestError: a block does not answer the same twice.
        """
        other = Chain.__new__(Chain)
        other.__dict__.update(self.__dict__)
        other.before, other.now, other.done, other.left, other.kept = (), self.first, 0, [], {0: self.first}
        known = {number - 1: left.seal for number, left in enumerate(self.left[: self.done]) if left is not None}
        known |= {self.done - 1: seal(self.before), self.done: seal(self.now)}
        for number in range(self.done):
            made = seal(other.forward(conditions))
            if not torch.equal(made, known.get(number + 1, made)):
                raise _moody(number)
        self.kept, self.redone = other.kept, self.redone + 1


def _moody(number: int) -> RequestError:
    return RequestError(
        f"block {number} of a reversible stack does not give the same answer twice",
        "name it in `plain`, or use deterministic kernels; no gradient was taken from a wrong state",
    )
