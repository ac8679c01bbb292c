"""Axes checked by name."""

import torch

from sfumato.errors import ShapeError


def expect(name: str, x: torch.Tensor, axes: str, **sizes: int) -> dict[str, int]:
    """Check that `x` has the given axes and return their sizes by name.

    >>> expect("plate", torch.zeros(3, 4, 5), "C H W", C=3)
    {'C': 3, 'H': 4, 'W': 5}

    Raises:
        ShapeError: another number of axes, or an axis of another size than asked for.
    """
    names = axes.split()
    if x.ndim != len(names):
        raise ShapeError(f"{name} should be ({axes}), got shape {tuple(x.shape)}")
    found = dict(zip(names, x.shape, strict=True))
    for axis, size in sizes.items():
        if found[axis] != size:
            raise ShapeError(f"{name} should be ({axes}) with {axis}={size}, got shape {tuple(x.shape)}")
    return found
