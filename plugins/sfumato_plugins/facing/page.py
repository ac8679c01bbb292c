"""The review page of a face: the solved face turning, markers over it, where it does not fit, every curve."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sfumato_plugins.facing.page_curves import Drawn, small_curve
from sfumato_plugins.page_parts import (
    Columns,
    document,
    escaped,
    figure,
    player,
    plots,
    source,
    table,
    wipe,
    write_whole,
)

GROUPS = ("jaw", "mouth", "cheek and nose", "eyes", "brows", "other")
PLOTS = {
    "residual": "Residual: mean distance between marker and rig, mm",
    "worst": "Residual of the worst marker, mm",
    "seen": "Markers seen, %",
    "drift": "Rigid drift left by the stabiliser and taken out by the solve, mm",
}
COLUMNS: Columns = {
    "frame": ("frame", "g"),
    "residual": ("residual mm", ".3f"),
    "worst": ("worst mm", ".2f"),
    "worst_marker": ("at", ""),
    "seen": ("seen %", ".0f"),
    "drift": ("drift mm", ".2f"),
    "saturated": ("at a limit", ""),
    "ambiguous": ("cannot be told apart", ""),
}
STYLE = """
.strip { display: block; width: 100%; } .player { max-width: 500px; }
.two { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); margin-top: 14px; }
.two figure { align-self: start; }
.curves { display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); }
.curve { background: var(--card); border-radius: 3px; padding: 8px 10px 4px; }
.curve svg { display: block; width: 100%; margin-top: 4px; } .curve text { fill: var(--quiet); font-size: 9px; }
.curve b { font-weight: 500; font-size: 13px; } .curve small { color: var(--quiet); font-size: 11.5px; float: right; }
.key { color: var(--quiet); font-size: 13px; }
.key i { display: inline-block; width: 16px; height: 2px; vertical-align: middle; margin: 0 6px 0 14px; }
h3.sub { margin: 22px 0 10px; font-size: 14px; } ul { margin: 8px 0 0; padding-left: 18px; font-size: 13.5px; }
.columns { columns: 2; column-gap: 40px; } @media (max-width: 900px) { .columns { columns: 1; } }
"""


@dataclass(frozen=True)
class Shown:
    """One frame to look at: pictures as JPEG files, and sentences.

    strip: The face turning, markers over it. residual: The residual on the skin. front: The face alone, for a wipe.
    """

    frame: float
    reason: str
    strip: bytes
    residual: bytes
    front: bytes
    previous: bytes | None = None
    reference: bytes | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Review:
    """Everything the page shows.

    rows: A dict a frame, its numbers named as in `COLUMNS`. facts: What stands under the heading.
    clip: JPEG frames by what they show, for `clip_frames`; rate: of those, a second.
    curves: By group, each control's own. ambiguity: Sentences about the whole take. markers: A row for each.
    """

    title: str
    facts: Mapping[str, Any]
    rows: list[dict[str, Any]]
    first: list[tuple[float, str]]
    shown: list[Shown]
    clip_frames: list[float]
    clip: dict[str, list[bytes]]
    rate: float
    curves: Mapping[str, Sequence[Drawn]]
    frames: Sequence[float]
    ambiguity: Sequence[str] = ()
    markers: list[dict[str, Any]] = field(default_factory=list)
    compared: str = ""

    @property
    def burn(self) -> _Burn:
        """What is burnt into the clip."""
        return _Burn(self.title)


@dataclass(frozen=True)
class _Burn:
    shot: str

    def line(self, frame: float | None = None) -> str:
        return "   ".join([self.shot, *([] if frame is None else [f"{frame:g}"]), "sfumato face"])


def write_page(path: str, review: Review) -> None:
    """Write the page, whole or not at all; everything is inside, and nothing on it can call out."""
    write_whole(path, {}, lambda _: as_html(review))


def as_html(review: Review) -> str:
    """The page as text."""
    facts = "".join(f"<span>{escaped(k)} <b>{escaped(v)}</b></span>" for k, v in review.facts.items() if v != "")
    marked = [frame for frame, _ in review.first]
    body = [
        f"<style>{STYLE}</style>",
        f'<div class="facts">{facts}</div>',
        _chips(review.first),
        player(review, review.rate),
        *(_frame(shown, review) for shown in review.shown),
        _ambiguity(review),
        _curves(review),
        plots(review.rows, marked, PLOTS),  # type: ignore[arg-type]  # sub-frame samples are fractions
        _markers(review),
        table(review.rows, marked, COLUMNS),  # type: ignore[arg-type]
    ]
    return document(review.title, body)


def _chips(first: Sequence[tuple[float, str]]) -> str:
    made = "".join(
        f'<a class="chip" href="#f{frame:g}"><b>{frame:g}</b><span>{escaped(why)}</span></a>' for frame, why in first
    )
    return f'<h2>Look at these first</h2><div class="chips">{made}</div>'


def _frame(shown: Shown, review: Review) -> str:
    burn = review.burn.line(shown.frame)
    pictures = [figure(shown.residual, "residual on the skin", burn, "grey 0, yellow 1 mm, red 2 mm and above")]
    if shown.reference:
        pictures = [figure(shown.reference, "reference", burn), figure(shown.front, "solved", burn), *pictures]
    wiped = ""
    if shown.previous:
        wiped = wipe(shown.previous, shown.front, (review.compared or "previous version", "this version"), burn)
    notes = "".join(f"<li>{escaped(note)}</li>" for note in shown.notes)
    return (
        f'<section class="detail" id="f{shown.frame:g}"><h3>Frame {shown.frame:g}</h3>'
        f'<p class="quiet">{escaped(shown.reason)}</p>'
        f'<figure><img class="strip" src="{source(shown.strip)}" alt="the solved face from five sides">'
        f'<div class="burn">{escaped(burn)}</div><figcaption>the solved face<small>white: marker as tracked; '
        "blue: where the rig puts it; grey: filled in, not seen</small></figcaption></figure>"
        f'<div class="two">{"".join(pictures)}{wiped}</div>{f"<ul>{notes}</ul>" if notes else ""}</section>'
    )


def _ambiguity(review: Review) -> str:
    if not review.ambiguity:
        return ""
    lines = "".join(f"<li>{escaped(line)}</li>" for line in review.ambiguity)
    return f'<h2>What these markers cannot tell</h2><ul class="columns">{lines}</ul>'


def _curves(review: Review) -> str:
    key = '<p class="key"><i style="background:#d6d6d6"></i>this solve'
    if review.compared:
        key += f'<i style="background:#7d8fb0"></i>{escaped(review.compared)}'
    key += (
        '<i style="background:#d8a24a;height:8px;width:8px;border-radius:4px"></i>fixed by hand; a ring is locked</p>'
    )
    parts = []
    for group in GROUPS:
        drawn = review.curves.get(group)
        if drawn:
            cards = "".join(f'<div class="curve">{small_curve(one, review.frames)}</div>' for one in drawn)
            parts.append(f'<h3 class="sub">{escaped(group.capitalize())}</h3><div class="curves">{cards}</div>')
    return f"<h2>Curves</h2>{key}{''.join(parts)}" if parts else ""


def _markers(review: Review) -> str:
    if not review.markers:
        return ""
    names = ("marker", "seen %", "residual mm", "worst mm", "at frame", "offset mm")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escaped(row.get(n, '-'))}</td>" for n in names) + "</tr>" for row in review.markers
    )
    return f'<h2>Markers</h2><div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def embedded(picture: bytes) -> str:
    """A JPEG as text, for a script that draws it."""
    return base64.b64encode(picture).decode("ascii")
