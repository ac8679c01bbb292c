"""Which points of a cloud can ever be at the edge of its picture: the corners of its convex hull. Knows no Maya.

Quickhull: Barber, Dobkin, Huhdanpaa, "The Quickhull Algorithm for Convex Hulls", ACM TOMS 22(4), 1996, section 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[float, float, float]
Plane = tuple[float, float, float, float]
"""Outward normal, of length 1, and its product with a point of the plane."""
Face = tuple[int, int, int]

THIN = 1e-9  # of the cloud's size: nearer to the hull than this is on it


def corners(points: Sequence[Point]) -> list[int]:
    """The numbers of the points on a cloud's convex hull, ascending; all of them where it is flat."""
    size = max((max(p[k] for p in points) - min(p[k] for p in points) for k in range(3)), default=0.0)
    first = _simplex(points, THIN * size)
    if first is None:
        return list(range(len(points)))
    hull = _Hull(points, THIN * size)
    hull.begin(first)
    while hull.open:
        hull.grow(hull.open.pop())
    return sorted({corner for face in hull.planes for corner in face})


class _Hull:
    """Faces by their corners, counter-clockwise from outside; what lies before each; whose an edge is."""

    def __init__(self, points: Sequence[Point], thin: float) -> None:
        self.points, self.thin = points, thin
        self.planes: dict[Face, Plane] = {}
        self.before: dict[Face, list[int]] = {}
        self.owner: dict[tuple[int, int], Face] = {}
        self.open: list[Face] = []

    def begin(self, first: Sequence[int]) -> None:
        a, b, c, d = first
        if _height(_plane(self.points, (a, b, c)), self.points[d]) > 0:
            b, c = c, b
        made = [self._add(face) for face in ((a, b, c), (a, d, b), (b, d, c), (c, d, a))]
        self._share(range(len(self.points)), made)

    def grow(self, face: Face) -> None:
        """Take the point that is furthest before a face into the hull."""
        if not self.before.get(face):
            return
        plane = self.planes[face]
        top = max(self.before[face], key=lambda number: _height(plane, self.points[number]))
        seen, rim, todo = {face}, [], [face]
        while todo:
            a, b, c = todo.pop()
            for edge in ((a, b), (b, c), (c, a)):
                other = self.owner[edge[1], edge[0]]
                if other in seen:
                    continue
                if _height(self.planes[other], self.points[top]) > self.thin:
                    seen.add(other)
                    todo.append(other)
                else:
                    rim.append(edge)
        left = [number for one in seen for number in self._drop(one) if number != top]
        self._share(left, [self._add((a, b, top)) for a, b in rim])

    def _add(self, face: Face) -> Face:
        self.planes[face], self.before[face] = _plane(self.points, face), []
        a, b, c = face
        self.owner.update({(a, b): face, (b, c): face, (c, a): face})
        return face

    def _drop(self, face: Face) -> list[int]:
        del self.planes[face]
        return self.before.pop(face)

    def _share(self, numbers: Iterable[int], faces: Sequence[Face]) -> None:
        """Give each point to a face it lies before; what lies before none is inside for ever."""
        for number in numbers:
            x, y, z = self.points[number]
            for face in faces:
                a, b, c, d = self.planes[face]
                if a * x + b * y + c * z - d > self.thin:
                    self.before[face].append(number)
                    break
        self.open += [face for face in faces if self.before[face]]


def _simplex(points: Sequence[Point], thin: float) -> tuple[int, int, int, int] | None:
    """Four points far from one plane; None where there are none."""
    if len(points) < 5 or thin == 0:
        return None
    numbers = range(len(points))
    a, b = min(numbers, key=lambda n: points[n]), max(numbers, key=lambda n: points[n])
    along = _minus(points[b], points[a])
    c = max(numbers, key=lambda n: _square(_cross(along, _minus(points[n], points[a]))))
    across = _cross(along, _minus(points[c], points[a]))
    if _square(across) <= (thin * thin) ** 2:
        return None
    plane = _plane(points, (a, b, c))
    d = max(numbers, key=lambda n: abs(_height(plane, points[n])))
    return (a, b, c, d) if abs(_height(plane, points[d])) > 100 * thin else None


def _plane(points: Sequence[Point], face: Face) -> Plane:
    a, b, c = (points[number] for number in face)
    x, y, z = _cross(_minus(b, a), _minus(c, a))
    length = _square((x, y, z)) ** 0.5 or 1.0
    x, y, z = x / length, y / length, z / length
    return x, y, z, x * a[0] + y * a[1] + z * a[2]


def _height(plane: Plane, point: Point) -> float:
    return plane[0] * point[0] + plane[1] * point[1] + plane[2] * point[2] - plane[3]


def _minus(a: Point, b: Point) -> Point:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _cross(a: Point, b: Point) -> Point:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _square(a: Point) -> float:
    return a[0] * a[0] + a[1] * a[1] + a[2] * a[2]
