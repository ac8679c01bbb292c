"""The classical solve: local colour lines, pixels that look alike, and colours known on either side, in one system."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.matte.color_line import matting_laplacian
from sfumato.matte.linear import System, conjugate_gradients, csr
from sfumato.matte.neighbours import Samples, motion_links, nearest, sample_sides
from sfumato.report import Report, Step, silent
from sfumato.shapes import expect

SURE = 0.98  # an unknown pixel this close to 0 or 1 lends its colour to the next round
ALONE = 1e3  # colour units between frames: what is known in one says nothing of another, where things have moved
FLOOR = 1e-6  # the pull to one half that keeps a pixel with no other opinion solvable


@dataclass(frozen=True)
class ClassicalSettings:
    """How the terms are weighed, relative to the matting Laplacian, for pictures whose colours are of order one."""

    epsilon: float = 1e-7  # of the matting Laplacian, in squared colour units
    alike: float = 0.002  # weight of a link between look-alike pixels
    alike_count: int = 5  # links a pixel asks for
    alike_position: float = 0.05  # what the picture's long side counts for against one colour unit
    known: float = 0.005  # weight of the estimate from known colours
    known_clean: float = 0.5  # the same where the background is given, so that only one side is a guess
    bare: float = 5.0  # weight of alpha 0 where a pixel is just what a given background is there
    bare_tolerance: float = 0.01  # how close that is: a share of the background's colour
    known_count: int = 7  # known colours taken from each side
    known_position: float = 20.0
    slack: float = 0.0  # of the searches: how much farther than the true neighbour one may be, as a share
    ridge: float = 3e-4  # of the blend weights
    motion: float = 0.05  # weight of a link along the motion to the frame before and after
    motion_tolerance: float = 0.05  # colour difference at which such a link holds half as firmly
    agreement: float = 0.1  # alpha difference at which a link counts half in the rounds after the first
    rounds: int = 3  # 1: every link counts in full and colours come from the trimap alone
    tolerance: float = 1e-3  # of the conjugate gradients
    limit: int = 400  # their iterations in a round


@dataclass(frozen=True)
class Guess:
    """What another estimator believes of the unknown pixels, and how firmly. It joins the solve as a data term.

    alpha: (T, 1, H, W) float32 in 0..1.
    weight: (T, 1, H, W) float32 >= 0; `ClassicalSettings.known` is as firm as a clear sample of both sides.
    """

    alpha: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Solved:
    """What the classical solve knows, each (T, 1, H, W).

    alpha: In 0..1, the trimap's value where it is known.
    sampled: The estimate from known colours alone, where unknown.
    contrast: Mean squared difference of the two sides' colours, where unknown: how much to believe `sampled`.
    iterations: Conjugate-gradient steps, all rounds together.
    """

    alpha: Tensor
    sampled: Tensor
    contrast: Tensor
    iterations: int


class Problem:
    """The linear system of a stack of frames. Building it is most of the work; it can be solved again and again.

    Energy: alpha^T L alpha + sum over links w_ij (alpha_i - alpha_j)^2 + sum over pixels h_i (alpha_i - s_i)^2, with L
    the matting Laplacian (Levin et al. 2008), links between pixels that look alike (Chen, Li, Tang, "KNN Matting",
    2013) or lie on each other's motion, and s the blend of known colours (Aksoy et al. 2017, section 3.2). Known
    pixels are not variables: they are exactly what the trimap says.
    """

    def __init__(
        self,
        image: Tensor,
        feature: Tensor,
        trimap: Tensor,
        settings: ClassicalSettings,
        motion: Sequence[tuple[Tensor, Tensor]] = (),
        *,
        clean: Tensor | None = None,
        extent: int | None = None,
    ) -> None:
        """
        Args:
            image: (T, 3, H, W) float32 in the light where compositing holds, colours of order one.
            feature: (T, 3, H, W) float32, the same picture as the eye compares colours.
            trimap: (T, 1, H, W) float32 of 0, 0.5 and 1.
            settings: Weights.
            motion: For each frame but the last, the motion to the next frame and back, each (2, H, W) pixels, x first.
            clean: (T, 3, H, W) the background where it is known, in the picture's own light.
            extent: Long side of the whole frame in pixels, where `image` is a part of it; distances count against it.

        Raises:
            ShapeError: sizes do not agree.
        """
        n = expect("image", image, "T C H W", C=3)
        expect("feature", feature, "T C H W", **n)
        expect("trimap", trimap, "T C H W", T=n["T"], C=1, H=n["H"], W=n["W"])
        self.settings, self.trimap = settings, trimap
        flat = trimap.flatten()
        self.unknown = (flat > 0) & (flat < 1)
        self.pixels = torch.nonzero(self.unknown)[:, 0]
        self.count = len(self.pixels)
        self.place = torch.cumsum(self.unknown, 0) - 1
        self.known_alpha = torch.where(self.unknown, 0.0, flat)
        self.colour = image.permute(0, 2, 3, 1).reshape(-1, 3)
        self.feature = feature.permute(0, 2, 3, 1).reshape(-1, 3)
        self.clean = None if clean is None else clean.permute(0, 2, 3, 1).reshape(-1, 3)
        self.size, self.extent = (n["T"], n["H"], n["W"]), extent or max(n["H"], n["W"])
        if self.count:
            rows, columns, values = matting_laplacian(image, self.unknown.view(self.size), settings.epsilon)
            self.local = self._reduced(rows, columns, values, ordered=True)
            self.links = self._links(motion)
            self.samples = self._sample(flat)

    def _reduced(
        self, rows: Tensor, columns: Tensor, values: Tensor, ordered: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A matrix over pixels as its unknown block, that block's diagonal, and its product with the known alpha."""
        row, inside = self.place[rows], self.unknown[columns]
        known = torch.zeros(self.count, device=values.device).index_add_(0, row, values * self.known_alpha[columns])
        on = rows == columns
        diagonal = torch.zeros(self.count, device=values.device).index_add_(0, row[on], values[on])
        block = csr(row[inside], self.place[columns[inside]], values[inside], (self.count, self.count), ordered)
        return block, diagonal, known

    def _points(self, position: float, time: float) -> Tensor:
        """(N, 6) every pixel as its colour, its place in its frame and its time, weighed for a search."""
        _, height, width = self.size
        every = torch.arange(self.feature.shape[0], device=self.feature.device)
        scale = position / self.extent
        place = torch.stack([every % width, every // width % height], 1) * scale
        frame = (every // (width * height))[:, None] * time
        return torch.cat([self.feature, place, frame], 1)

    def _links(self, motion: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (unknown pixels), columns (any pixels) and weights of all links."""
        s = self.settings
        # Look-alikes come from a pixel's own frame: how many frames are solved together must not change an answer.
        mine = self._points(s.alike_position, ALONE)[self.pixels]
        alike = nearest(mine, mine, s.alike_count + 1, s.slack)[:, 1:]
        weight = s.alike * (1 - (mine[alike] - mine[:, None]).abs().sum(2)).clamp_min(0)
        rows = self.pixels.repeat_interleave(alike.shape[1])
        links = [(rows, self.pixels[alike.flatten()], weight.flatten())]
        if motion and s.motion:
            links += [
                (r, c, s.motion * w)
                for r, c, w in motion_links(self.feature, self.unknown, self.size, motion, s.motion_tolerance)
            ]
        rows, columns, weights = (torch.cat(part) for part in zip(*links, strict=True))
        return rows, columns, weights

    def _sample(self, flat: Tensor) -> Samples:
        """The estimate from known colours, with `flat` (N,) saying which pixels are known to be 0 and 1."""
        s = self.settings
        # A few strokes say what colours there are, not where: the less is known, the less its place counts.
        place = s.known_position * min(1.0, 3 * (len(flat) - self.count) / self.count) ** 2
        points = self._points(place, ALONE)
        return sample_sides(self.colour, points, flat, self.pixels, s.known_count, s.ridge, self.clean, s.slack)

    def palette(self) -> tuple[Tensor, Tensor]:
        """(T, 3, H, W) twice: the picture, with unknown pixels as the known foreground, or background, nearest."""
        layers = []
        for colours in (self.samples.foreground, self.samples.background):
            layer = self.colour.clone()
            layer[self.pixels] = colours
            layers.append(layer.view(*self.size, 3).permute(0, 3, 1, 2))
        return layers[0], layers[1]

    def _linked(self, alpha: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The links as a Laplacian; with an alpha (n,), links whose ends disagree count less (Cauchy weights)."""
        rows, columns, weights = self.links
        if alpha is not None:
            full = self.known_alpha.clone()
            full[self.pixels] = alpha
            weights = weights / (1 + ((full[rows] - full[columns]) / self.settings.agreement) ** 2)
        both = self.unknown[columns]
        # Each link acts on both of its ends, but only unknown pixels have an equation.
        r = torch.cat([rows, columns[both], rows, columns[both]])
        c = torch.cat([columns, rows[both], rows, columns[both]])
        return self._reduced(r, c, torch.cat([-weights, -weights[both], weights, weights[both]]))

    def system(self, alpha: Tensor | None = None, guess: Guess | None = None) -> System:
        """The equations; with an alpha (n,) from the round before, and with another estimator's belief."""
        local, local_diagonal, local_known = self.local
        linked, linked_diagonal, linked_known = self._linked(alpha)
        known = self.settings.known if self.clean is None else self.settings.known_clean
        h = known * self.samples.contrast + FLOOR
        if self.clean is not None:
            h = h + self.settings.bare * self.samples.contrast * self._bare(self.clean)
        rhs = known * self.samples.contrast * self.samples.alpha + FLOOR / 2
        if guess is not None:
            w = guess.weight.flatten()[self.pixels]
            h, rhs = h + w, rhs + w * guess.alpha.flatten()[self.pixels]
        rhs = rhs - local_known - linked_known
        return System((local, linked), h, rhs, local_diagonal + linked_diagonal + h)

    def _bare(self, clean: Tensor) -> Tensor:
        """(n,) 0..1, how surely an unknown pixel shows nothing but the given background (N, 3)."""
        there = clean[self.pixels]
        close = self.settings.bare_tolerance * (there.abs() + 0.05)
        return torch.exp(-((self.colour[self.pixels] - there) / close).square().mean(1))

    def solve(self, report: Report, guess: Guess | None = None, start: Tensor | None = None) -> tuple[Tensor, int]:
        """Alpha (n,) and the iterations it took. `start` (n,) is an earlier answer, and saves the plain first round."""
        s = self.settings
        x = self.samples.alpha if start is None else start
        total = 0
        for turn in range(s.rounds if start is None else max(1, s.rounds - 1)):
            again = turn > 0 or start is not None
            if turn == 1 and start is None:
                self.samples = self._sample(self._extended(x))

            def tell(i: int, _: float, turn: int = turn) -> None:
                report(Step("classical", turn * s.limit + i, s.rounds * s.limit))

            x, done = conjugate_gradients(self.system(x if again else None, guess), x, s.tolerance, s.limit, tell)
            total += done
        return x, total

    def _extended(self, alpha: Tensor) -> Tensor:
        """The trimap (N,) with the pixels that the last round is sure of."""
        flat = self.trimap.flatten().clone()
        sure = torch.where(alpha > SURE, 1.0, torch.where(alpha < 1 - SURE, 0.0, 0.5))
        flat[self.pixels] = sure
        return flat

    def fill(self, values: Tensor, elsewhere: Tensor | None = None) -> Tensor:
        """(T, 1, H, W) with `values` (n,) on unknown pixels and the trimap, or `elsewhere`, on known ones."""
        flat = (self.trimap if elsewhere is None else elsewhere).flatten().clone()
        flat[self.pixels] = values.clamp(0, 1)
        return flat.view_as(self.trimap)


def solve_classical(
    problem: Problem, report: Report = silent, guess: Guess | None = None, start: Tensor | None = None
) -> Solved:
    """Alpha of a stack of frames; with another estimator's guess, and from an earlier alpha (T, 1, H, W)."""
    nothing = torch.zeros_like(problem.trimap)
    if problem.count == 0:
        return Solved(problem.trimap.clone(), nothing, nothing, 0)
    x, iterations = problem.solve(report, guess, None if start is None else start.flatten()[problem.pixels])
    return Solved(
        problem.fill(x),
        problem.fill(problem.samples.alpha, nothing),
        problem.fill(problem.samples.contrast, nothing),
        iterations,
    )
