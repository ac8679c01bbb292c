"""Numbers that add up exactly: latents as integers in units of 2^-level, scaled by fractions without losing a bit.

With gamma 1 a step is an integer sum, which its difference undoes. With gamma = n / d below 1 sampling contracts: some
neighbours land on one integer. Inversion expands, and has room for them. So an image comes back with nothing kept;
noise comes back when a bit was kept wherever two neighbours met (`SideBits`).
"""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction

import torch
from torch import Tensor

from sfumato.errors import RequestError

LEVEL = 18  # 3.8e-6: below what a float32 network resolves, and float32 holds every latent up to 64 exactly
LIMIT = 2**31  # of an integer state: what a record stores; scaling by a fraction of up to 16 bits stays within 63


def to_lattice(x: Tensor, level: int) -> Tensor:
    """The integers nearest to x 2^level, int64; halves go to the even one.

    Raises:
        RequestError: x holds NaN, or something that does not fit.
    """
    scaled = x * float(2**level)
    top = float(scaled.abs().amax()) if x.numel() else 0.0
    if not top < LIMIT:
        what = "not a number" if top != top else f"{top / 2**level:.3g}, and {LIMIT / 2**level:g} is the most"
        raise RequestError(
            f"a latent or step is {what}", "lower the guidance; a model in half precision may overflow: try float32"
        )
    return scaled.round().to(torch.int64)


def from_lattice(m: Tensor, level: int) -> Tensor:
    """The float32 that the network is shown for integers m. Exact while |m| < 2^24; always the same for the same m."""
    return m.to(torch.float32) * float(2.0**-level)


def expand(m: Tensor, ratio: Fraction, rest: Tensor | None = None) -> Tensor:
    """m times a ratio >= 1: the least integer that `contract` sends back to m, or the one `rest` above it.

    ceil(m n / d). m, rest: int64.
    """
    up = -((-m * ratio.numerator) // ratio.denominator)
    return up if rest is None else up + rest


def contract(m: Tensor, ratio: Fraction) -> tuple[Tensor, Tensor]:
    """m times a ratio < 1, floor(m n / d), and which of the integers that land there m was; both int64.

    expand(contract(m)[0], 1 / ratio, rest=contract(m)[1]) is m, for every m; without the rest, for every m that
    `expand` made.
    """
    down = (m * ratio.numerator) // ratio.denominator
    return down, m - expand(down, 1 / ratio)


def shared(down: Tensor, ratio: Fraction) -> Tensor:
    """How many integers `contract` sends to each of these, less one: where there are any, a choice must be kept."""
    return expand(down + 1, 1 / ratio) - expand(down, 1 / ratio) - 1


@dataclass(frozen=True)
class SideBits:
    """What contracting steps would forget, by step: bits in the order of the elements, eight to a byte.

    An element costs nothing where it landed alone, else as many bits as the largest choice at that step: 1 down to
    gamma 1/2. On average 2 (1 - gamma) bits an element and step.
    """

    steps: dict[int, Tensor] = field(default_factory=dict)

    def put(self, step: int, down: Tensor, rest: Tensor, ratio: Fraction) -> None:
        """Keep the rests of a step, once its result is known."""
        chosen = rest[shared(down, ratio) > 0]
        planes = [(chosen >> b) & 1 for b in range(_width(ratio))]
        self.steps[step] = _packed(torch.cat(planes) if planes else chosen)

    def take(self, step: int, down: Tensor, ratio: Fraction) -> Tensor | None:
        """The rests of a step, int64 like `down`, or None where nothing was kept."""
        if step not in self.steps:
            return None
        where = shared(down, ratio) > 0
        count, width = int(where.sum()), _width(ratio)
        bits = self.steps[step].to(down.device)
        if bits.numel() != (count * width + 7) // 8:
            raise RequestError(f"the side bits of step {step} belong to other latents", "use the record they came with")
        planes = _unpacked(bits, count * width).reshape(width, count)
        rest = torch.zeros_like(down)
        rest[where] = sum((planes[b] << b for b in range(width)), start=torch.zeros_like(planes[0]))
        return rest

    def per_element(self, elements: int) -> float:
        """Bits an element of a latent costs, all steps together."""
        return 8 * sum(t.numel() for t in self.steps.values()) / elements


def digest(m: Tensor) -> str:
    """16 hexadecimal digits that any changed bit of an integer state changes: BLAKE2b of its int64 values in order."""
    values = m.detach().to("cpu", torch.int64).contiguous().numpy()
    return hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()


def _width(ratio: Fraction) -> int:
    """Bits to tell apart all that may land on one integer."""
    return (-(-ratio.denominator // ratio.numerator) - 1).bit_length()


def _packed(bits: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(bits.to(torch.uint8), (0, -bits.numel() % 8)).reshape(-1, 8)
    return (padded << torch.arange(8, device=bits.device, dtype=torch.uint8)).sum(1, dtype=torch.uint8)


def _unpacked(packed: Tensor, count: int) -> Tensor:
    places = torch.arange(8, device=packed.device, dtype=torch.uint8)
    return ((packed[:, None] >> places) & 1).reshape(-1)[:count].to(torch.int64)
