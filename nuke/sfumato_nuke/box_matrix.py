"""Where Nuke's 2D nodes take a point: 3 x 3 matrices by rows, in pixels, y up. Knows no Nuke."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Matrix = tuple[float, ...]
"""Nine numbers, row by row; a point is the column (x, y, 1)."""
Point = tuple[float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def times(a: Matrix, b: Matrix) -> Matrix:
    """First b, then a."""
    return tuple(sum(a[3 * r + i] * b[3 * i + c] for i in range(3)) for r in range(3) for c in range(3))


def moved(matrix: Matrix, points: Iterable[Point]) -> list[Point]:
    """Points where a matrix takes them."""
    a, b, c, d, e, f, g, h, i = matrix
    if g == 0 and h == 0 and i == 1:
        return [(a * x + b * y + c, d * x + e * y + f) for x, y in points]
    return [_divided(a * x + b * y + c, d * x + e * y + f, g * x + h * y + i) for x, y in points]


def is_affine(matrix: Matrix) -> bool:
    """Whether straight lines stay as long as their parts are: no perspective."""
    return matrix[6] == 0 and matrix[7] == 0


def transform(
    translate: Point, rotate: float, scale: Point, skew: Point, order: str, centre: Point, aspect: float = 1.0
) -> Matrix:
    """A Transform node: T(translate) T(centre) R S K T(-centre).

    Args:
        rotate: Degrees, counter-clockwise as it is seen.
        skew: x and y in tangents: x' = x + skew_x y.
        order: "XY": first x, then y; "YX": the other way round.
        aspect: Of a pixel; turning is done where pixels are square.
    """
    c, s = math.cos(math.radians(rotate)), math.sin(math.radians(rotate))
    turn: Matrix = (c, -s / aspect, 0, s * aspect, c, 0, 0, 0, 1)
    along: Matrix = (1, skew[0], 0, 0, 1, 0, 0, 0, 1)
    up: Matrix = (1, 0, 0, skew[1], 1, 0, 0, 0, 1)
    skewed = times(up, along) if order == "XY" else times(along, up)
    size: Matrix = (scale[0], 0, 0, 0, scale[1], 0, 0, 0, 1)
    about = times(times(turn, size), skewed)
    return times(shift(translate[0] + centre[0], translate[1] + centre[1]), times(about, shift(-centre[0], -centre[1])))


def shift(x: float, y: float) -> Matrix:
    return (1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0)


def pinned(source: Sequence[Point], target: Sequence[Point]) -> Matrix:
    """The perspective that takes four corners to four others (CornerPin2D).

    Raises:
        ValueError: three corners lie on one line.
    """
    return times(_from_square(target), inverse(_from_square(source)))


def inverse(m: Matrix) -> Matrix:
    """Raises ValueError for a matrix that makes an area a line."""
    a, b, c, d, e, f, g, h, i = m
    adjoint = (e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f,
               d * h - e * g, b * g - a * h, a * e - b * d)  # fmt: skip
    size = a * adjoint[0] + b * adjoint[3] + c * adjoint[6]
    if abs(size) < 1e-12:
        raise ValueError("three corners lie on one line, or a scale is 0")
    return tuple(value / size for value in adjoint)


def _from_square(corners: Sequence[Point]) -> Matrix:
    """From (0, 0), (1, 0), (1, 1), (0, 1) to four corners: Heckbert, "Fundamentals of Texture Mapping", 1989, 2.2.3."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    size = dx1 * dy2 - dx2 * dy1
    if abs(size) < 1e-12:
        raise ValueError("three corners lie on one line")
    g, h = (dx3 * dy2 - dx2 * dy3) / size, (dx1 * dy3 - dx3 * dy1) / size
    return (x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1.0)


def _divided(x: float, y: float, w: float) -> Point:
    return (x / w, y / w) if w else (math.inf, math.inf)
