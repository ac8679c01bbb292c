"""A box in a picture."""

import math
from dataclasses import dataclass

from sfumato.errors import RequestError


@dataclass(frozen=True)
class Box:
    """A box, in parts of the display window: 0 is its left or top edge, 1 its right or bottom; y points down.

    It may lie outside the window, in part or whole: things enter and leave. Being in parts, it is the same for every
    resolution, proxy and pixel aspect.

    Raises:
        RequestError: a number that is none, or edges that leave nothing between them.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.edges)):
            raise RequestError(f"the box {self} has an edge that is no number", "give left, top, right, bottom")
        if not (self.left < self.right and self.top < self.bottom):
            raise RequestError(
                f"the box {self} is empty", "its order is left, top, right, bottom, with y down: 0.1,0.5,0.4,0.8"
            )

    def __str__(self) -> str:
        return ",".join(f"{edge:g}" for edge in self.edges)

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """x and y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def inside(self) -> "Box | None":
        """The part of it within the window; None where there is none."""
        return self.shared(WINDOW)

    def shared(self, other: "Box") -> "Box | None":
        """What two boxes have in common; None if they only touch, or not even that."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    def around(self, other: "Box") -> "Box":
        """The least box around both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def toward(self, other: "Box", part: float) -> "Box":
        """The box `part` of the way to another, edge by edge: 0 is this one, 1 the other, to the bit."""
        if part in (0, 1):
            return other if part else self
        return Box(*(a + part * (b - a) for a, b in zip(self.edges, other.edges, strict=True)))

    def iou(self, other: "Box") -> float:
        """Shared area over joint area, 0..1."""
        shared = self.shared(other)
        common = shared.area if shared else 0.0
        return common / (self.area + other.area - common)

    def distance(self, other: "Box", aspect: float = 1.0) -> float:
        """Between two centres, in diagonals of a window `aspect` times as wide as high."""
        (x0, y0), (x1, y1) = self.centre, other.centre
        return math.hypot((x1 - x0) * aspect, y1 - y0) / math.hypot(aspect, 1)


WINDOW = Box(0, 0, 1, 1)
