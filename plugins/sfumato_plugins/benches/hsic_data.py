"""The picture sets that training benches read: MNIST-like idx files, and CIFAR-10 as JPEGs in one npz."""

from __future__ import annotations

import gzip
import pathlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

SETS = {"mnist": "mnist", "fashion": "fashion", "cifar10": "cifar10_jpeg"}  # folders within the data


class Pictures(NamedTuple):
    """inputs (N, C, H, W) float32, 0..1; classes (N,) int64; for training and for testing."""

    inputs: Tensor
    classes: Tensor
    test_inputs: Tensor
    test_classes: Tensor


def load(data: pathlib.Path, name: str) -> Pictures | None:
    """A set; None where its folder is not there.

    Raises:
        InputError: its folder lacks a file, or one is damaged.
    """
    from sfumato.errors import InputError
    from sfumato.models.edm_pictures import read_cifar10

    folder = data / SETS[name]
    if not folder.is_dir():
        return None
    try:
        if name == "cifar10":
            told, tested = read_cifar10(folder, "train"), read_cifar10(folder, "test")
            return Pictures(told[0].float() / 255, told[1], tested[0].float() / 255, tested[1])
        parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
        inputs, classes, test_inputs, test_classes = (_idx(folder / f"{part}-ubyte.gz") for part in parts)
        return Pictures(
            inputs[:, None].float() / 255, classes.long(), test_inputs[:, None].float() / 255, test_classes.long()
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{folder} does not hold {name}: {error}", "fetch it again") from error


def _idx(path: pathlib.Path) -> Tensor:
    """The format of the set's own page: two bytes 0, 8 for bytes, the number of axes, their lengths big-endian."""
    import numpy as np
    import torch

    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path.name} is no idx file of bytes")
    shape = [int.from_bytes(raw[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(raw[3])]
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy())
