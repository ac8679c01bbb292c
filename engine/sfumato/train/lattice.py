"""Activations as whole numbers of 2^-level, and the low bits that a step sets aside so that it can be undone.

After Zhang et al., "BDIA-transformer" (exact bit-level reversibility): x_{k-1} is made divisible by 2^bits before it is
multiplied by gamma = +-2^-bits; what was added is the side information s, `bits` bits a number.
"""

import torch
from torch import Tensor

from sfumato.errors import RequestError

RANGE = 2.0**30  # of the whole numbers: two of them, or one and a half, still add up in int32


def to_whole(values: Tensor, level: int) -> Tensor:
    """round(values 2^level), int32, of any floating values; halves go to the even neighbour.

    Raises:
        RequestError: a value is not finite or does not fit.
    """
    scaled = values.float() * 2.0**level
    most = float(scaled.abs().amax()) if scaled.numel() else 0.0
    _fit(most, level)
    return scaled.round().int()


def check_range(whole: Tensor, level: int) -> None:
    """Refuse a sum of whole numbers that is too large to add to.

    Raises:
        RequestError: one is.
    """
    if whole.numel():
        least, most = torch.aminmax(whole)
        _fit(max(-float(least), float(most)), level)


def _fit(most: float, level: int) -> None:
    if not most < RANGE:
        what = "not a number" if most != most else f"{most / 2.0**level:.3g}"
        raise RequestError(
            f"an activation is {what}; at level {level} a reversible stack holds up to {RANGE / 2.0**level:g}",
            "lower the level or the learning rate, or train this stack with checkpoints",
        )


def from_whole(whole: Tensor, level: int) -> Tensor:
    """The float32 a block is shown: exact below 2^24, and always the same for the same number."""
    return whole.float() * 2.0**-level


def lifted(whole: Tensor, sign: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """sign (whole + s) / 2^bits with the least s >= 0 that makes it whole; and s, packed.

    Args:
        whole: int32. sign: +1 or -1, int32, broadcast against it. bits: 1, 2, 4 or 8.
    """
    up = (-whole).bitwise_and(2**bits - 1)
    return sign * ((whole + up) >> bits), pack(up, bits)


def lowered(quotient: Tensor, sign: Tensor, packed: Tensor, bits: int) -> Tensor:
    """The whole numbers that `lifted` was given."""
    return ((quotient * sign) << bits) - unpack(packed, bits, quotient.shape)


def pack(numbers: Tensor, bits: int) -> Tensor:
    """Numbers below 2^bits, 8 / bits of them in a byte; uint8."""
    parts = 8 // bits
    flat = numbers.flatten().to(torch.uint8)
    flat = torch.nn.functional.pad(flat, (0, -len(flat) % parts)).view(parts, -1)
    packed = flat[0].clone()
    for number, part in enumerate(flat[1:], 1):
        packed |= part << (number * bits)
    return packed


def unpack(packed: Tensor, bits: int, shape: torch.Size) -> Tensor:
    """What `pack` was given, int32, of this shape."""
    parts = 8 // bits
    flat = torch.cat([(packed >> (number * bits)).bitwise_and(2**bits - 1) for number in range(parts)])
    return flat[: shape.numel()].view(shape).int()


def seal(whole: tuple[Tensor, ...]) -> Tensor:
    """Sum of n (2 i + 1) modulo 2^64, a tensor of one: it differs where one element does, and all but always where more
    do."""
    found = torch.zeros((), dtype=torch.int64, device=whole[0].device)
    for part in whole:
        odd = torch.arange(1, 2 * part.numel(), 2, dtype=torch.int64, device=part.device)
        found = found * 3 + (part.flatten().long() * odd).sum()
    return found
