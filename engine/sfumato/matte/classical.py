"""The classical solve: local colour lines, pixels that look alike, and colours known on either side, in one system."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as nnf
from torch import Tensor

from sfumato.matte.color_line import matting_laplacian
from sfumato.matte.linear import System, conjugate_gradients, csr, from_rows
from sfumato.matte.neighbours import blend_weights, nearest
from sfumato.report import Report, Step, silent
from sfumato.shapes import expect


@dataclass(frozen=True)
class ClassicalSettings:
    """How the three terms are weighed. The defaults are for pictures whose colours are of order one."""

    epsilon: float = 1e-7  # of the matting Laplacian, in squared colour units
    local: float = 1.0  # weight of the matting Laplacian
    similar: float = 1.0  # weight of the blend of look-alike pixels
    similar_count: int = 20  # look-alikes of a pixel
    similar_position: float = 1.0  # what the picture's long side counts for against one colour unit
    known: float = 0.05  # weight of the estimate from known colours
    known_count: int = 7  # known colours taken from each side
    known_position: float = 10.0
    ridge: float = 1e-3  # of the blend weights
    time_position: float = 0.05  # what one frame counts for against one colour unit
    tolerance: float = 1e-4  # of the conjugate gradients
    limit: int = 600  # iterations at the finest level


@dataclass(frozen=True)
class Guess:
    """What one more estimator believes of the unknown pixels, and how firmly. Joins the solve as a data term.

    alpha: (T, 1, H, W) float32 in 0..1.
    weight: (T, 1, H, W) float32 >= 0; 0.05 is as firm as a clear sample of both sides.
    """

    alpha: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Solved:
    """alpha (T, 1, H, W) in 0..1; `sampled`: the estimate from known colours, and `contrast`, how far apart the two
    sides were, both (T, 1, H, W), zero outside the unknown band; iterations at the finest level."""

    alpha: Tensor
    sampled: Tensor
    contrast: Tensor
    iterations: int
    levels: list[int] = field(default_factory=list)


class Problem:
    """The linear system of one stack of pictures. Building it is most of the work; it can be solved again and again."""

    def __init__(self, image: Tensor, feature: Tensor, trimap: Tensor, settings: ClassicalSettings) -> None:
        """
        Args:
            image: (T, 3, H, W) float32 in the light where compositing holds.
            feature: (T, 3, H, W) float32: the same picture as the eye compares it, order one.
            trimap: (T, 1, H, W) float32 of 0, 0.5 and 1.
        """
        n = expect("image", image, "T C H W", C=3)
        self.shape, self.settings, self.trimap = n, settings, trimap
        flat = trimap.flatten()
        self.unknown = (flat > 0) & (flat < 1)
        self.pixels = torch.nonzero(self.unknown)[:, 0]
        self.count = len(self.pixels)
        self.place = torch.cumsum(self.unknown, 0) - 1
        self.colour = image.permute(0, 2, 3, 1).reshape(-1, 3)
        self.feature = feature.permute(0, 2, 3, 1).reshape(-1, 3)
        self._known_values = torch.where(self.unknown, torch.zeros_like(flat), flat)
        self._local(image)
        self._similar()
        self._sample()

    def _position(self, pixels: Tensor, weight: float) -> Tensor:
        """(N, 3): where pixels are, x and y in units of the long side, time in frames, weighed against colour."""
        height, width = self.shape["H"], self.shape["W"]
        scale = weight / max(height, width)
        x, y, t = pixels % width, pixels // width % height, pixels // (width * height)
        return torch.stack([x * scale, y * scale, t * self.settings.time_position], 1)

    def _split(self, rows: Tensor, columns: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """A matrix over all pixels as its part over unknown columns, and its product with the known alpha."""
        known = torch.zeros(self.count, device=values.device)
        row = self.place[rows]
        known.index_add_(0, row, values * self._known_values[columns])
        keep = self.unknown[columns]
        return csr(row[keep], self.place[columns[keep]], values[keep], (self.count, self.count)), known

    def _local(self, image: Tensor) -> None:
        unknown = self.unknown.view(self.shape["T"], self.shape["H"], self.shape["W"])
        rows, columns, values = matting_laplacian(image, unknown, self.settings.epsilon)
        self.laplacian, self.laplacian_known = self._split(rows, columns, values)
        self.laplacian_diagonal = torch.zeros(self.count, device=values.device)
        self.laplacian_diagonal[self.place[rows[rows == columns]]] = values[rows == columns]

    def _similar(self) -> None:
        """M alpha = alpha - (blend of the look-alikes): Aksoy et al. 2017, section 3.1."""
        s = self.settings
        every = torch.arange(self.feature.shape[0], device=self.feature.device)
        points = torch.cat([self.feature, self._position(every, s.similar_position)], 1)
        if self.shape["T"] == 1:
            points = points[:, :5]
        mine = points[self.pixels]
        alike = nearest(points, mine, s.similar_count + 1)[:, 1:]
        weights = blend_weights(mine, points[alike], s.ridge)
        rows = torch.cat([self.pixels, self.pixels.repeat_interleave(alike.shape[1])])
        columns = torch.cat([self.pixels, alike.flatten()])
        values = torch.cat([torch.ones(self.count, device=weights.device), -weights.flatten()])
        forward, self.residual_known = self._split(rows, columns, values)
        self.residual = (forward, transpose(forward))
        squares = from_rows(forward.crow_indices(), forward.col_indices(), forward.values() ** 2, forward.shape)
        self.residual_squares = transpose(squares)

    def _sample(self) -> None:
        """Alpha from the known colours on either side: Aksoy et al. 2017, section 3.2."""
        s = self.settings
        flat = self.trimap.flatten()
        every = torch.arange(flat.shape[0], device=flat.device)
        points = torch.cat([self.feature, self._position(every, s.known_position)], 1)
        sides = []
        for value in (1, 0):
            known = torch.nonzero(flat == value)[:, 0]
            sides.append(self.colour[known[nearest(points[known], points[self.pixels], s.known_count)]])
        weights = blend_weights(self.colour[self.pixels], torch.cat(sides, 1), s.ridge)
        k = sides[0].shape[1]
        share = weights[:, :k].sum(1)
        fore = (weights[:, :k, None] * sides[0]).sum(1) / share[:, None]
        back = (weights[:, k:, None] * sides[1]).sum(1) / (1 - share)[:, None]
        self.sampled = share.clamp(0, 1).nan_to_num(0.5)
        self.contrast = ((fore - back) ** 2).mean(1).clamp(0, 1).nan_to_num(0)

    def system(self, guess: Guess | None = None) -> System:
        """The equations, with one more estimator's belief where there is one."""
        s = self.settings
        h = s.known * self.contrast
        rhs = h * self.sampled
        if guess is not None:
            w = guess.weight.flatten()[self.pixels]
            h = h + w
            rhs = rhs + w * guess.alpha.flatten()[self.pixels]
        d = torch.full_like(h, s.similar)
        rhs = rhs - s.local * self.laplacian_known - torch.mv(self.residual[1], d * self.residual_known)
        diagonal = s.local * self.laplacian_diagonal + torch.mv(self.residual_squares, d) + h + 1e-6
        laplacian = self.laplacian if s.local == 1 else self.laplacian * s.local
        return System(laplacian, self.residual, d, h + 1e-6, rhs + 0.5e-6, diagonal)

    def fill(self, values: Tensor) -> Tensor:
        """(T, 1, H, W) with the trimap's value on known pixels and `values` (n,), held to 0..1, on unknown ones."""
        flat = self.trimap.flatten().clone()
        flat[self.pixels] = values.clamp(0, 1)
        return flat.view_as(self.trimap)


def transpose(matrix: Tensor) -> Tensor:
    """The transposed sparse matrix, in compressed rows."""
    start, columns, values = matrix.crow_indices(), matrix.col_indices(), matrix.values()
    rows = torch.repeat_interleave(
        torch.arange(matrix.shape[0], device=values.device), (start[1:] - start[:-1]).long()
    )
    return csr(columns.long(), rows, values, (matrix.shape[1], matrix.shape[0]))


def solve_classical(
    image: Tensor,
    feature: Tensor,
    trimap: Tensor,
    settings: ClassicalSettings,
    report: Report = silent,
) -> Solved:
    """Alpha of a stack of pictures from colour lines, look-alikes and known colours, coarse to fine.

    Args as for `Problem`.
    """
    problem = Problem(image, feature, trimap, settings)
    if problem.count == 0:
        nothing = torch.zeros_like(trimap)
        return Solved(trimap.clone(), nothing, nothing, 0)
    start = problem.sampled
    x, iterations = conjugate_gradients(
        problem.system(),
        start,
        settings.tolerance,
        settings.limit,
        lambda i, _: report(Step("classical", i, settings.limit)),
    )
    sampled, contrast = torch.zeros_like(trimap).flatten(), torch.zeros_like(trimap).flatten()
    sampled[problem.pixels], contrast[problem.pixels] = problem.sampled, problem.contrast
    return Solved(problem.fill(x), sampled.view_as(trimap), contrast.view_as(trimap), iterations)
