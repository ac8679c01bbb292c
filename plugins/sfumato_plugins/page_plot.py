"""Lines over frames as SVG, without a library and without a network."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 190, 52, 12, 30, 26


def plot(title: str, frames: Sequence[int], values: Sequence[float | None], marked: Sequence[int] = ()) -> str:
    """One line over the frames of a shot, from zero up; gaps where there is no value, `marked` frames as dots.

    Returns an empty string where no frame has a value.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return ""
    top = nice(max(known))
    first, last = frames[0], frames[-1]

    def x(frame: int) -> float:
        share = (frame - first) / (last - first) if last > first else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    pieces = [f'<text class="title" x="{LEFT}" y="16">{html.escape(title)}</text>']
    for share in (0.0, 0.5, 1.0):
        pieces.append(f'<path d="M{LEFT} {y(share * top):.1f}H{WIDTH - RIGHT}" stroke="#3a3a3a"/>')
        pieces.append(f'<text x="{LEFT - 7}" y="{y(share * top) + 4:.1f}" text-anchor="end">{share * top:.3g}</text>')
    ends = [(first, "start"), (last, "end")] if last > first else [(first, "middle")]
    for frame, anchor in ends:
        pieces.append(f'<text x="{x(frame):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{frame}</text>')
    pieces.append(f'<path d="{_line(frames, values, x, y)}" fill="none" stroke="#b9b9b9" stroke-width="1.6"/>')
    for frame, value in zip(frames, values):
        if value is None or not math.isfinite(value):
            continue
        loud = frame in marked
        if loud or len(known) < 60:
            pieces.append(
                f'<circle cx="{x(frame):.1f}" cy="{y(value):.1f}" r="{3.6 if loud else 2}" '
                f'fill="{"#d8a24a" if loud else "#b9b9b9"}"><title>{frame}: {value:.4g}</title></circle>'
            )
    name = html.escape(f"{title} over frames {first} to {last}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(pieces)}</svg>'


def _line(frames, values, x, y) -> str:  # type: ignore[no-untyped-def]
    path, pen = [], "M"
    for frame, value in zip(frames, values):
        if value is None or not math.isfinite(value):
            pen = "M"
            continue
        path.append(f"{pen}{x(frame):.1f} {y(value):.1f}")
        pen = "L"
    return "".join(path)


def nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5 x 10^n at or above a value; 1 for zero.

    >>> nice(0.013)
    0.02
    """
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    for step in (1, 2, 2.5, 5, 10):
        if step * unit >= value * (1 - 1e-9):
            return float(f"{step * unit:.6g}")
    return 10 * unit
