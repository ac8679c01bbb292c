"""Linear systems over a clip: frames tied to their neighbours by second differences, solved in one banded sweep."""

from typing import Any

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor


def solved_along(blocks: Tensor, along: Tensor, pull: Tensor, fixed: Tensor) -> Tensor:
    """The step v with (blocks + D'A D) v = pull, D taking second differences over time.

    Args:
        blocks: (F, N, N), what ties a frame's variables to each other.
        along: (F - 2, N, N), A of each second difference.
        pull: (F, N).
        fixed: (F, N) bool, variables that do not move.

    Returns:
        (F, N), 0 where fixed.

    Raises:
        numpy.linalg.LinAlgError: the system is not positive definite.
    """
    moves = ~fixed.all(0)
    if not bool(moves.all()):  # what never moves is no unknown
        step = torch.zeros_like(pull)
        if bool(moves.any()):
            within = blocks[:, moves][:, :, moves], along[:, moves][:, :, moves]
            step[:, moves] = solved_along(*within, pull[:, moves], fixed[:, moves])
        return step
    loose = (~fixed).double()
    own, first, second = _along_time(along, len(pull))
    own = (own + blocks) * loose[:, :, None] * loose[:, None] + torch.diag_embed(fixed.double())
    first = first * loose[1:, :, None] * loose[:-1, None]
    second = second * loose[2:, :, None] * loose[:-2, None]
    band = _laid_in_bands(own, first, second)
    found = solveh_banded(band, (pull * loose).reshape(-1).numpy(), lower=True, check_finite=False)
    return torch.from_numpy(found).reshape(pull.shape)


def pulled(along: Tensor, values: Tensor) -> Tensor:
    """D'A D v of the second differences D over time, (F, N)."""
    found = torch.zeros_like(values)
    if len(values) > 2:
        bent = values[2:] - 2 * values[1:-1] + values[:-2]
        pull = (along @ bent[..., None])[..., 0]
        found[2:] += pull
        found[1:-1] -= 2 * pull
        found[:-2] += pull
    return found


def _along_time(along: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """D'A D as blocks: on its diagonal (F, N, N), one and two frames below it."""
    width = along.shape[-1]
    own = torch.zeros(frames, width, width, dtype=along.dtype)
    first = torch.zeros(max(frames - 1, 0), width, width, dtype=along.dtype)
    if frames > 2:
        own[2:] += along
        own[1:-1] += 4 * along
        own[:-2] += along
        first[1:] -= 2 * along
        first[:-1] -= 2 * along
    return own, first, along


def _laid_in_bands(own: Tensor, first: Tensor, second: Tensor) -> Any:
    """The lower bands of a symmetric block-pentadiagonal matrix, as scipy's solveh_banded wants them."""
    frames, width = own.shape[:2]
    columns = np.zeros((frames, width, 4 * width))  # of the matrix, from their frame's first row down
    columns[:, :, :width] = own.transpose(1, 2).numpy()
    columns[: len(first), :, width : 2 * width] = first.transpose(1, 2).numpy()
    columns[: len(second), :, 2 * width : 3 * width] = second.transpose(1, 2).numpy()
    frame, column, row = columns.strides
    down = np.lib.stride_tricks.as_strided(columns, (frames, width, 3 * width), (frame, column + row, row))
    return down.reshape(frames * width, 3 * width).T  # band[i - j, j] = a[i, j]
