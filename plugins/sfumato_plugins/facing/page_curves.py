"""One control's curve as a small drawing: this version, the one before, and the keys an artist has fixed."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 280, 74, 4, 4, 4, 12
MOST = 320  # points of a line; a longer one keeps what is highest and lowest between


@dataclass(frozen=True)
class Drawn:
    """A control.

    values: One for each frame. previous: The same of the version before, on its own frames.
    keys: (frame, value, locked) of those that are fixed. note: A few words at the right.
    """

    name: str
    values: Sequence[float]
    limits: tuple[float, float]
    previous: tuple[Sequence[float], Sequence[float]] | None = None
    keys: Sequence[tuple[float, float, bool]] = ()
    note: str = ""


def small_curve(drawn: Drawn, frames: Sequence[float]) -> str:
    """A heading and an SVG."""
    every = [*drawn.values, *(drawn.previous[1] if drawn.previous else ()), *(value for _, value, _ in drawn.keys)]
    low, high = min(0.0, *every), max(*every, 0.0)
    top = drawn.limits[1] if high > 0.35 * drawn.limits[1] else max(high, 0.05 * drawn.limits[1], 1e-6)
    bottom = drawn.limits[0] if low < 0.35 * drawn.limits[0] else low
    first, last = frames[0], frames[-1]

    def at(frame: float, value: float) -> tuple[float, float]:
        share = (frame - first) / (last - first) if last > first else 0.5
        up = (value - bottom) / (top - bottom) if top > bottom else 0.0
        return LEFT + share * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(where: Sequence[float], values: Sequence[float], ink: str) -> str:
        points = "L".join("{:.1f} {:.1f}".format(*at(f, v)) for f, v in thinned(where, values))
        return f'<path d="M{points}" fill="none" stroke="{ink}" stroke-width="1.2"/>'

    zero = at(first, 0.0)[1]
    parts = [f'<path d="M{LEFT} {zero:.1f}H{WIDTH - RIGHT}" stroke="#3a3a3a"/>']
    if drawn.previous:
        parts.append(line(*drawn.previous, "#7d8fb0"))
    parts.append(line(frames, drawn.values, "#d6d6d6"))
    for frame, value, locked in drawn.keys:
        x, y = at(frame, value)
        ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" fill="none" stroke="#d8a24a"/>' if locked else ""
        parts.append(
            f'{ring}<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#d8a24a"><title>{frame:g}: {value:g}</title></circle>'
        )
    words = f'<text x="{LEFT}" y="{HEIGHT - 1}">{first:g}</text>'
    words += f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 1}" text-anchor="end">{last:g}</text>'
    span = f"{min(drawn.values):.2f} to {max(drawn.values):.2f}"
    name = html.escape(drawn.name)
    note = f"{html.escape(drawn.note)} · " if drawn.note else ""
    return (
        f"<b>{name}</b><small>{note}{span}</small>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}, {span}">{"".join(parts)}{words}</svg>'
    )


def thinned(frames: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """A line with at most about `MOST` points that looks the same: of each stretch its highest and its lowest.

    >>> thinned([1, 2], [0.5, 0.6])
    [(1, 0.5), (2, 0.6)]
    """
    pairs = list(zip(frames, values))
    if len(pairs) <= MOST:
        return pairs
    stretch = -(-2 * len(pairs) // MOST)
    found = [pairs[0]]
    for start in range(0, len(pairs), stretch):
        part = pairs[start : start + stretch]
        found += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return [*found, pairs[-1]]
