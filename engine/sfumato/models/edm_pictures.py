"""CIFAR-10 as tensors, from the official binary version or from an archive of JPEG files."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.io import read_image

Split = Literal["train", "test"]
SIDE = 32
_RECORD = 1 + 3 * SIDE * SIDE  # a label, then red, green and blue


def read_cifar10(folder: str | Path, split: Split, only: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, 32, 32) uint8 and labels (N,) int64 of one split, in the order they are stored.

    Args:
        folder: Holds either the binary version (data_batch_1.bin .. data_batch_5.bin, test_batch.bin) or
            train_jpeg.npz and test_jpeg.npz: `blob` the bytes of all JPEG files, `offsets` (N + 1,), `labels` (N,).
        split: "train" (50,000) or "test" (10,000).
        only: Which of them; default all. The files are sorted by label: the first thousand show one thing.

    Raises:
        InputError: neither is there, or a file is cut short.
    """
    folder = Path(folder)
    archive = folder / f"{split}_jpeg.npz"
    binaries = (
        [folder / f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else [folder / "test_batch.bin"]
    )
    if all(path.is_file() for path in binaries):
        pictures, labels = _from_records(b"".join(path.read_bytes() for path in binaries), folder)
        return (pictures, labels) if only is None else (pictures[list(only)], labels[list(only)])
    if archive.is_file():
        return _from_jpegs(archive, only)
    raise InputError(
        f"no CIFAR-10 {split} pictures in {folder}",
        f"give a folder with {archive.name}, or with {binaries[0].name} of the binary version",
    )


def as_floats(pictures: Tensor) -> Tensor:
    """uint8 0 .. 255 -> float32 -1 .. 1."""
    return pictures.to(torch.float32) / 127.5 - 1


def as_bytes(pictures: Tensor) -> Tensor:
    """Floats -1 .. 1 -> uint8, clipped: the pictures that samples are judged as."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _from_records(stored: bytes, folder: Path) -> tuple[Tensor, Tensor]:
    if not stored or len(stored) % _RECORD:
        raise InputError(f"the CIFAR-10 files in {folder} are cut short", "copy them again")
    records = torch.from_numpy(np.frombuffer(stored, np.uint8).reshape(-1, _RECORD).copy())
    return records[:, 1:].reshape(-1, 3, SIDE, SIDE), records[:, 0].to(torch.int64)


def _from_jpegs(archive: Path, only: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    try:
        with np.load(archive) as stored:
            blob, offsets, labels = stored["blob"], stored["offsets"], stored["labels"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"cannot read {archive}: {error}", "copy it again") from error
    chosen = np.arange(len(labels)) if only is None else np.array(only)
    pictures = np.empty((len(chosen), SIDE, SIDE, 3), np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "one.jpg"  # OpenImageIO's Python reads files only
        for row, i in enumerate(chosen):
            blob[offsets[i] : offsets[i + 1]].tofile(path)
            pictures[row] = _decoded(path, f"{archive}, picture {i}")
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(
        labels[chosen].astype(np.int64)
    )


def _decoded(path: Path, name: str) -> Any:
    try:
        pixels = read_image(path).rgb()
    except InputError as error:
        raise InputError(f"{name} is no picture: {error.message}", "copy the archive again") from error
    if pixels.shape != (3, SIDE, SIDE):
        raise InputError(f"{name} is no JPEG of {SIDE} x {SIDE} pixels", "copy the archive again")
    return (255 * pixels).round().byte().permute(1, 2, 0).numpy()
