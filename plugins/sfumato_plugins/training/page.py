"""A training's page: its loss over the steps, and what it is about. One file, no network; see `page_parts`."""

from __future__ import annotations

import html
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from sfumato_plugins.page_parts import document, escaped, write_whole
from sfumato_plugins.page_plot import nice

Path = pathlib.Path
Line = Sequence[tuple[int, float]]
"""(step, value) in the order of steps."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 260, 62, 16, 34, 30
COLOURS = ("#7f7f7f", "#d8a24a", "#7fb0d8", "#a6c48a", "#c98bb9", "#d97f6a", "#8fd0c4", "#c9c27a")
LETTER = 6.4  # mean width of one of a legend


def write_page(path: Path, heading: str, facts: Mapping[str, str], looks: Sequence[Any], best: int) -> None:
    """Write the page of a fine-tuning; it appears whole or not at all.

    looks: Each with step, loss (of the steps before it) and held (of held-out pictures), either may be None.
    """
    lines = {
        "steps, mean since the last look": [(look.step, look.loss) for look in looks if look.loss is not None],
        "held-out pictures": [(look.step, look.held) for look in looks if look.held is not None],
    }
    write_lines(path, heading, facts, {"Loss over the steps": lines}, best)


def write_lines(
    path: Path, heading: str, facts: Mapping[str, str], plots: Mapping[str, Mapping[str, Line]], best: int | None = None
) -> None:
    """A page of plots by title, each of lines by name."""
    told = "".join(f"<span>{escaped(name)} <b>{escaped(value)}</b></span>" for name, value in facts.items())
    drawn = "".join(f'<div class="plot">{chart(title, lines, best)}</div>' for title, lines in plots.items())
    body = [f'<div class="facts">{told}</div>', f'<div class="plots">{drawn}</div>']
    write_whole(path, {}, lambda names: document(heading, body))


def chart(title: str, lines: Mapping[str, Line], best: int | None = None) -> str:
    """Lines over steps as SVG, each in its own colour, from a little below the least value to the next round one."""
    shown = {name: line for name, line in lines.items() if line}
    values = [value for line in shown.values() for _, value in line if math.isfinite(value)]
    if not values:
        return f'<p class="quiet">{html.escape(title)}: nothing to show yet</p>'
    low, high = _range(min(values), max(values))
    steps = [step for line in shown.values() for step, _ in line]
    first, last = min(steps), max(steps)

    def x(step: int) -> float:
        return LEFT + (step - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    pieces = [f'<text class="title" x="{LEFT}" y="16">{html.escape(title)}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        value = low + share * (high - low)
        pieces.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#3a3a3a"/>')
        pieces.append(f'<text x="{LEFT - 7}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    if best is not None and first <= best <= last and last > first:
        pieces.append(f'<path d="M{x(best):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#d8a24a" stroke-dasharray="3 4"/>')
        anchor = "end" if x(best) > WIDTH / 2 else "start"
        pieces.append(f'<text x="{x(best):.1f}" y="{TOP - 4}" text-anchor="{anchor}">result: step {best}</text>')
    at = LEFT + LETTER * len(title) + 40
    for number, (name, line) in enumerate(shown.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "".join(f"{'L' if i else 'M'}{x(s):.1f} {y(v):.1f}" for i, (s, v) in enumerate(_finite(line)))
        pieces.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        pieces += [
            f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="2.4" fill="{colour}"><title>{s}: {v:.5g}</title></circle>'
            for s, v in _finite(line)[: 200 if len(line) <= 200 else 0]
        ]
        pieces.append(f'<path d="M{at:.0f} 12h18" stroke="{colour}" stroke-width="3"/>')
        pieces.append(f'<text x="{at + 24:.0f}" y="16">{html.escape(name)}</text>')
        at += 24 + LETTER * len(name) + 18
    pieces += [f'<text x="{x(s):.1f}" y="{HEIGHT - 10}" text-anchor="{a}">{s}</text>' for s, a in _ends(first, last)]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{"".join(pieces)}</svg>'


def _finite(line: Line) -> list[tuple[int, float]]:
    return [(step, value) for step, value in line if math.isfinite(value)]


def _ends(first: int, last: int) -> list[tuple[int, str]]:
    return [(first, "start"), (last, "end")] if last > first else [(first, "start")]


def _range(low: float, high: float) -> tuple[float, float]:
    """Round numbers a little outside."""
    unit = nice(max(high - low, abs(high) * 1e-3, 1e-9)) / 4
    bottom, top = math.floor(low / unit) * unit, math.ceil(high / unit) * unit
    return bottom, top if top > bottom else bottom + unit
