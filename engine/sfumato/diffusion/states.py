"""The two kinds of latents a walk may be made of: integers, which come back to the bit, and floats, which nearly do."""

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from sfumato.diffusion.lattice import LIMIT, SideBits, contract, expand, from_lattice, to_lattice
from sfumato.errors import RequestError


@dataclass(frozen=True)
class Lattice:
    """States are int64 in units of 2^-level: what one direction adds, the other takes away."""

    level: int

    def enter(self, z: Tensor) -> Tensor:
        """Floats to the nearest state."""
        return to_lattice(z, self.level)

    def show(self, m: Tensor) -> Tensor:
        """A state as the network sees it, float32."""
        return from_lattice(m, self.level)

    def down(
        self, noisier: Tensor, f: Tensor, gamma: Fraction, node: int, known: SideBits, kept: SideBits | None
    ) -> Tensor:
        """z_(i-1) = gamma z_(i+1) + f, at node i. `up` with the same f, and the bits kept here, undoes it."""
        return _within(self._scaled(noisier, gamma, node, known, kept) + self.enter(f), node)

    def up(
        self, cleaner: Tensor, f: Tensor, gamma: Fraction, node: int, known: SideBits, kept: SideBits | None
    ) -> Tensor:
        """z_(i+1) = (z_(i-1) - f) / gamma, at node i. `down` undoes it."""
        return _within(self._scaled(cleaner - self.enter(f), 1 / gamma, node, known, kept), node)

    @staticmethod
    def _scaled(m: Tensor, ratio: Fraction, node: int, known: SideBits, kept: SideBits | None) -> Tensor:
        if ratio == 1:
            return m
        if ratio > 1:
            return expand(m, ratio, known.take(node, m, 1 / ratio))
        low, rest = contract(m, ratio)
        if kept is not None:
            kept.put(node, low, rest, ratio)
        return low


@dataclass(frozen=True)
class Floats:
    """States are tensors as they come, float32 or float64: for measuring what the lattice is there for."""

    def enter(self, z: Tensor) -> Tensor:
        """Nothing changes."""
        return z

    def show(self, z: Tensor) -> Tensor:
        """Nothing changes."""
        return z

    def down(
        self, noisier: Tensor, f: Tensor, gamma: Fraction, node: int, known: SideBits, kept: SideBits | None
    ) -> Tensor:
        """z_(i-1) = gamma z_(i+1) + f."""
        return noisier * float(gamma) + f

    def up(
        self, cleaner: Tensor, f: Tensor, gamma: Fraction, node: int, known: SideBits, kept: SideBits | None
    ) -> Tensor:
        """z_(i+1) = (z_(i-1) - f) / gamma."""
        return (cleaner - f) / float(gamma)


def _within(m: Tensor, node: int) -> Tensor:
    if m.numel() and int(m.abs().amax()) >= LIMIT:
        raise RequestError(
            f"the latent left the range of its lattice at step {node}: this walk blows up",
            "take gamma nearer to 1, less guidance, or a lower lattice level",
        )
    return m
