"""The review page of a placement: pictures with the boxes asked for and found, where they differ, and the numbers."""

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
    table,
    wipe,
    write_whole,
)

LABELS = {
    "boxes": "in colour: asked for; white: found",
    "picture": "every pixel of the model's native size",
    "where it missed": "asked and found boxes differ where it is bright",
}
SHOWN = ("boxes", "picture", "where it missed")
COLUMNS = {
    "frame": ("frame", "d"),
    "iou": ("IoU", ".3f"),
    "centroid_error": ("centroid error, diagonals", ".4f"),
    "presence": ("presence", ".0%"),
    "seconds": ("seconds", ".2f"),
    "calls": ("network calls", "d"),
}
PLOTS = {
    "iou": "IoU of the boxes asked for and found, mean of the objects",
    "centroid_error": "Distance of their centres, in diagonals of the picture",
}


def write_page(path: str | pathlib.Path, review: Any, title: str | None = None) -> list[pathlib.Path]:
    """Write a review as PATH and its contact sheet as STEM.contact.sheet.png beside it, each whole or not at all.

    review: A `sfumato.matte.review.Review`, its pictures named as in `SHOWN`.

    Returns:
        What was written, the page first.
    """
    return write_whole(path, review.sheets, lambda names: as_html(review, title, names))


def as_html(review: Any, title: str | None = None, names: Sequence[str] = ()) -> str:
    """The page as text; see `write_page`."""
    marked = [frame for frame, _ in review.first]
    detail = review.details[0]
    hero = "".join(figure(detail.pictures[name], name, review.burn.line(detail.frame)) for name in SHOWN)
    body = [
        facts(review),
        f'<div class="grid hero">{hero}</div>',
        chips(review.first),
        player(review, 8.0),
        plots(review.rows, marked, PLOTS),
        *(_detail(detail, review.burn) for detail in review.details),
        table(review.rows, marked, COLUMNS),
        sheets(names),
    ]
    return document(heading_of(review, title), body)


def _detail(detail: Any, burn: Any) -> str:
    pictures = detail.pictures
    wiped = wipe(pictures["picture"], pictures["boxes"], ("picture", "boxes"), burn.line(detail.frame))
    return "".join(
        [
            f'<section class="detail" id="f{detail.frame}"><h3>Frame {detail.frame}</h3>',
            f'<p class="quiet">{escaped(detail.reason)}</p>',
            f'<div class="wipes">{wiped}</div>',
            figures(detail, SHOWN, burn, LABELS),
            "</section>",
        ]
    )
