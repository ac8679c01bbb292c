"""A review page: one HTML file with everything inside, no network, and contact sheets as PNG beside it."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from sfumato_plugins.page_parts import (
    chips,
    document,
    escaped,
    facts,
    figure,
    figures,
    heading_of,
    player,
    plots,
    sheets,
    source,
    table,
    wipe,
    write_whole,
)

Path = pathlib.Path

LABELS = {  # what a picture is for, where its name does not say it
    "trimap": "unknown band tinted, known background darkened",
    "alpha, gamma 5": "noise in the black",
    "alpha, gamma 0.2": "holes in the white",
    "over complement": "saturated opposite of the element: spill shows",
    "residual": "|plate - layers|, black 0, yellow 0.05 and above",
    "doubt": "1 - confidence, black 0, yellow 1",
    "alpha chatter": "against the mean of its neighbours, yellow 0.25 and above",
    "error": "against the truth, yellow 0.5 and above",
    "foreground": "straight, continued where alpha is 0",
    "background": "what is behind, continued under the element",
    "over yours": "the background you gave",
}
OVER = ("over grey", "over black", "over white", "over complement", "over checker", "over yours")
PUSHED = ("alpha", "alpha, gamma 5", "alpha, gamma 0.2")
MAPS = ("residual", "doubt", "alpha chatter", "error")
LAYERS = ("trimap", "foreground", "background")
COLUMNS = {  # heading and format of known columns of the table; others follow as they are
    "frame": ("frame", "d"),
    "seconds": ("seconds", ".2f"),
    "iterations": ("iterations", "d"),
    "residual": ("residual RMS", ".5f"),
    "worst": ("residual max", ".4f"),
    "confidence": ("confidence", ".3f"),
    "chatter": ("chatter", ".4f"),
    "change": ("change", ".4f"),
    "band": ("band", ".1%"),
    "sad": ("SAD k", ".3f"),
    "mse": ("MSE e-3", ".2f"),
}


PLOTS = {
    "chatter": "Alpha chatter: RMS in the band against the mean of both neighbours",
    "residual": "Residual: RMS of plate minus layers in the band, linear",
    "confidence": "Confidence: mean in the band",
    "mse": "Error against the truth: MSE e-3",
}


def write_page(path: str | Path, review: Any, title: str | None = None, rate: float = 24.0) -> list[Path]:
    """Write a review as PATH and its contact sheets as STEM.contact.FRAME.png beside it, each whole or not at all.

    Args:
        path: The page, usually .html; its folder is created.
        review: A `sfumato.matte.review.Review`: burn, size, summary, rows, first, details, clip, sheets.
        title: Heading; default: shot and version, or the tool.
        rate: Frames a second of the playable clip.

    Returns:
        What was written, the page first.
    """
    return write_whole(path, review.sheets, lambda names: as_html(review, title, rate, names))


def as_html(review: Any, title: str | None = None, rate: float = 24.0, names: Sequence[str] = ()) -> str:
    """The page as text; see `write_page`."""
    burn = review.burn
    marked = [frame for frame, _ in review.first]
    body = [
        facts(review),
        _hero(review.details[0], burn),
        chips(review.first),
        player(review, rate),
        plots(review.rows, marked, PLOTS),
        *(_detail(detail, burn) for detail in review.details),
        table(review.rows, marked, COLUMNS),
        sheets(names),
    ]
    return document(heading_of(review, title), body)


def _hero(detail: Any, burn: Any) -> str:
    line = burn.line(detail.frame)
    shown = [figure(detail.pictures[name], name, line) for name in ("plate", "trimap", "alpha", "over grey")]
    return f'<div class="grid hero">{"".join(shown)}</div>'


def _detail(detail: Any, burn: Any) -> str:
    pictures, line = detail.pictures, burn.line(detail.frame)
    wipes = [wipe(pictures["plate"], pictures["over grey"], ("plate", "over grey"), line)]
    if "previous alpha" in pictures:
        wipes.append(wipe(pictures["previous alpha"], pictures["alpha"], ("previous version", "this version"), line))
    parts = [
        f'<section class="detail" id="f{detail.frame}"><h3>Frame {detail.frame}</h3>',
        f'<p class="quiet">{escaped(detail.reason)}</p>',
        f'<div class="wipes">{"".join(wipes)}</div>',
        '<p class="sub">Over backgrounds</p>' + figures(detail, OVER, burn, LABELS),
        '<p class="sub">Alpha, pushed</p>' + figures(detail, PUSHED, burn, LABELS),
        '<p class="sub">Where to doubt it</p>' + figures(detail, MAPS, burn, LABELS),
        _crops(detail),
        '<p class="sub">Layers</p>' + figures(detail, LAYERS, burn, LABELS),
        "</section>",
    ]
    return "".join(parts)


def _crops(detail: Any) -> str:
    if not detail.crops:
        return ""
    rows = []
    for place, crop in enumerate(detail.crops, start=1):
        shown = "".join(
            f'<figure><img src="{source(picture)}" alt="{escaped(name)}">'
            f"<figcaption>{escaped(name)}</figcaption></figure>"
            for name, picture in crop.pictures.items()
        )
        rows.append(f'<div class="crop"><p>{place}<br>x {crop.left}, y {crop.top}</p>{shown}</div>')
    return f'<p class="sub">The worst places, 1:1</p><div class="crops">{"".join(rows)}</div>'
