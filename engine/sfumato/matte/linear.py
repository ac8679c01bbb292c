"""Symmetric positive systems over the unknown pixels: how they are stored, and conjugate gradients."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import RequestError

CHECK_EVERY = 10  # iterations between two looks at the residual: a look waits for the GPU


def csr(rows: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int], ordered: bool = False) -> Tensor:
    """A sparse matrix from coordinates; entries at the same place add up.

    Args:
        rows, columns: int64 (N,) on one device.
        values: float32 (N,).
        size: Rows and columns of the matrix.
        ordered: Entries come by row, then by column, one to a place: nothing to sort.

    Returns:
        torch sparse CSR float32 with int32 indices: on the CPU four times as fast to multiply as with int64.
    """
    if not ordered:
        both = torch.stack([rows, columns])
        summed = torch.sparse_coo_tensor(both, values, size, check_invariants=False).coalesce()
        (rows, columns), values = summed.indices(), summed.values()
    start = torch.zeros(size[0] + 1, dtype=torch.int32, device=values.device)
    start[1:] = torch.bincount(rows, minlength=size[0]).cumsum(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(start, columns.to(torch.int32), values, size, check_invariants=False)


@dataclass(frozen=True)
class System:
    """A x = b with A the sum of some matrices and diag(h), over n unknown pixels.

    matrices: Sparse (n, n), symmetric positive semidefinite.
    weight: h, float32 (n,) > 0.
    rhs: b, float32 (n,).
    diagonal: The diagonal of A, float32 (n,) > 0, for the preconditioner.
    """

    matrices: tuple[Tensor, ...]
    weight: Tensor
    rhs: Tensor
    diagonal: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """A x, (n,)."""
        y = self.weight * x
        for matrix in self.matrices:
            y += torch.mv(matrix, x)
        return y


def conjugate_gradients(
    system: System,
    start: Tensor,
    tolerance: float,
    limit: int,
    tell: Callable[[int, float], None] | None = None,
) -> tuple[Tensor, int]:
    """Solve A x = b by conjugate gradients with the diagonal as preconditioner.

    Hestenes and Stiefel, 1952. Everything is float32; sums are taken on the device.

    Args:
        system: A and b.
        start: First guess, float32 (n,).
        tolerance: Stop when |A x - b| <= tolerance |b|, both in the preconditioned norm.
        limit: Stop after so many iterations in any case: flat regions can otherwise cost thousands.
        tell: Called now and then with the iteration and the relative residual.

    Returns:
        x, float32 (n,), and the number of iterations.

    Raises:
        RequestError: the system holds values that are not finite.
    """
    x = start.clone()
    inverse = 1 / system.diagonal
    r = system.rhs - system(x)
    z = inverse * r
    p = z.clone()
    rz = torch.dot(r, z)
    goal = float(torch.dot(system.rhs, inverse * system.rhs)) * tolerance**2
    done = 0
    while done < limit:
        if done % CHECK_EVERY == 0:
            now = float(rz)
            if not now == now:
                raise RequestError("the plate holds values the solver cannot add up", "look for pixels above 1e18")
            if now <= goal:
                break
            if tell:
                tell(done, (now / max(goal, 1e-30)) ** 0.5 * tolerance)
        q = system(p)
        step = rz / torch.dot(p, q).clamp_min(1e-30)
        x += step * p
        r -= step * q
        z = inverse * r
        before, rz = rz, torch.dot(r, z)
        p = z + (rz / before.clamp_min(1e-30)) * p
        done += 1
    return x, done
