"""The least box around points and Bezier curves. Knows no Nuke."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from sfumato_nuke.box_matrix import Matrix, Point, is_affine, moved

Bezier = tuple[Point, Point, Point, Point]
"""From the first point to the last, by way of two handles."""
Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top, y up."""

SAMPLES = 64  # along a curve that is seen in perspective, where no formula gives its ends


def around(points: Sequence[Point]) -> Bounds:
    """The least box around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def around_curves(curves: Sequence[Bezier], matrix: Matrix) -> Bounds:
    """The least box around curves where a matrix takes them; to the last digit where it has no perspective."""
    found: list[Point] = []
    for curve in curves:
        if is_affine(matrix):
            found += _reach(moved(matrix, curve))
        else:
            found += moved(matrix, [_at(curve, i / SAMPLES) for i in range(SAMPLES + 1)])
    return around(found)


def _reach(curve: Sequence[Point]) -> Iterator[Point]:
    """A curve's ends, and where it turns back in x or in y: the roots of its derivative."""
    yield curve[0]
    yield curve[3]
    for axis in (0, 1):
        a, b, c, d = (point[axis] for point in curve)
        for t in _roots(3 * (b - a), 6 * (c - 2 * b + a), 3 * (d - 3 * c + 3 * b - a)):
            if 0 < t < 1:
                yield _at(curve, t)


def _roots(c: float, b: float, a: float) -> list[float]:
    """Real roots of a t^2 + b t + c."""
    if abs(a) <= 1e-12 * (abs(b) + abs(c)):
        return [-c / b] if b else []
    under = b * b - 4 * a * c
    if under < 0:
        return []
    q = -(b + math.copysign(math.sqrt(under), b)) / 2
    return [q / a] + ([c / q] if q else [])


def _at(curve: Sequence[Point], t: float) -> Point:
    u = 1 - t
    weights = (u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t)
    return sum(w * p[0] for w, p in zip(weights, curve)), sum(w * p[1] for w, p in zip(weights, curve))
