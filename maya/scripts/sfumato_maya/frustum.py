"""What a camera's film sees of the rendered picture, and boxes of points in it. Knows no Maya.

Points are in the camera's space: x right, y up, looking down -z, centimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

Point = tuple[float, float, float]
Edges = tuple[float, float, float, float]
"""Left, top, right, bottom in parts of the rendered picture, y down; may reach outside."""
Matrix = Sequence[float]
"""Sixteen numbers by rows, for points as rows; the translation is the last row."""
Whole = Callable[[], tuple[Sequence[Point], Iterable[tuple[int, int]]]]
FILL, HORIZONTAL, VERTICAL, OVERSCAN = range(4)  # film fits, as Maya numbers them
INCH = 25.4  # millimetres


@dataclass(frozen=True)
class Lens:
    """A camera at a moment.

    focal: Millimetres. film: Width and height in inches. offset: Of the film, inches. squeeze: Of an anamorphic lens.
    fit: How film and picture are fitted. fit_offset: Inches, along the side that is not fitted.
    scale: The camera's own. near: Centimetres. ortho: Width of what an orthographic one sees, centimetres; else None.
    """

    focal: float
    film: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)
    squeeze: float = 1.0
    fit: int = FILL
    fit_offset: float = 0.0
    scale: float = 1.0
    near: float = 0.1
    ortho: Optional[float] = None  # noqa: UP045 Python 3.9 evaluates it


@dataclass(frozen=True)
class Window:
    """Centre and half size of the picture where x and y are tangents, or centimetres for an orthographic camera."""

    x: float
    y: float
    half_width: float
    half_height: float


def window(lens: Lens, aspect: float) -> Window:
    """What the rendered picture shows. `aspect`: its width over its height as it is seen.

    Fill shows what both film and picture hold of the narrower, Overscan of the wider; Horizontal and Vertical keep that
    side of the film. The camera's overscan attribute moves nothing here: it is of the viewport.
    """
    if lens.ortho is not None:
        return Window(0.0, 0.0, lens.ortho / 2, lens.ortho / 2 / aspect)
    width, height = lens.film[0] * lens.squeeze, lens.film[1]
    wide = width / height > aspect  # the film is wider than the picture
    by_width = lens.fit == HORIZONTAL or (lens.fit == FILL and not wide) or (lens.fit == OVERSCAN and wide)
    seen = (width, width / aspect) if by_width else (height * aspect, height)
    x, y = lens.offset[0] * lens.squeeze, lens.offset[1]
    if lens.fit == HORIZONTAL:
        y += lens.fit_offset
    elif lens.fit == VERTICAL:
        x += lens.fit_offset
    tangent = lens.scale * INCH / lens.focal
    return Window(x * tangent, y * tangent, seen[0] * tangent / 2, seen[1] * tangent / 2)


def box(outline: Sequence[Point], matrix: Matrix, lens: Lens, seen: Window, whole: Whole) -> tuple[Edges, float] | None:
    """The least box around what of an object is before the near plane, and how near the nearest of it is.

    None where all of it is behind.

    Args:
        outline: Those of its points that can be at the edge, in the object's own space.
        matrix: From there to the camera's space.
        whole: Gives all of its points, and pairs of them that are edges; asked only where an object crosses the near
            plane. There it is cut before anything is divided by a distance. Without edges each point before the plane
            is joined to each behind it, which is right for what bulges nowhere inwards.
    """
    xs, ys, zs = _placed(outline, matrix)
    nearest, farthest = -max(zs), -min(zs)
    if farthest < lens.near:
        return None
    if nearest < lens.near:
        points, edges = whole()
        xs, ys, zs = (list(axis) for axis in zip(*_cut(list(zip(*_placed(points, matrix))), lens.near, edges)))
    if lens.ortho is None:
        xs = [x / -z for x, z in zip(xs, zs)]
        ys = [y / -z for y, z in zip(ys, zs)]
    width, height = 2 * seen.half_width, 2 * seen.half_height
    left, bottom = seen.x - seen.half_width, seen.y - seen.half_height
    found = (
        (min(xs) - left) / width,
        1 - (max(ys) - bottom) / height,
        (max(xs) - left) / width,
        1 - (min(ys) - bottom) / height,
    )
    return found, max(nearest, lens.near)


def _placed(points: Sequence[Point], matrix: Matrix) -> tuple[list[float], list[float], list[float]]:
    """x, y and z where a matrix takes points; three plain loops, for this is where the time goes."""
    a, b, c, _, d, e, f, _, g, h, i, _, x0, y0, z0, _ = matrix
    return (
        [a * x + d * y + g * z + x0 for x, y, z in points],
        [b * x + e * y + h * z + y0 for x, y, z in points],
        [c * x + f * y + i * z + z0 for x, y, z in points],
    )


def _cut(points: Sequence[Point], near: float, edges: Iterable[tuple[int, int]]) -> list[Point]:
    """The points before the near plane, and where lines to those behind meet it."""
    pairs = [(points[a], points[b]) for a, b in edges]
    before = [point for point in points if -point[2] >= near]
    if not pairs:
        pairs = [(a, b) for a in before for b in points if -b[2] < near]
    met = []
    for a, b in pairs:
        if (-a[2] < near) != (-b[2] < near):
            t = (-near - a[2]) / (b[2] - a[2])
            met.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), -near))
    return before + met
