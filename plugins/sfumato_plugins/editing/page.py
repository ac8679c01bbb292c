"""The review page of an edit: plate, reconstruction, edit, what lies between them, the latent, and the time it took."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from sfumato_plugins.page_parts import (
    chips,
    document,
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
    "seen by the model": "the plate at its size, as it saw it",
    "reconstruction": "up to noise and back under the source prompt",
    "the model's edit": "up, and back under the target prompt",
    "where it changed": "black: the plate's own bits",
}
HERO = ("plate", "reconstruction", "edit", "difference x10")
MODEL = ("seen by the model", "reconstruction", "the model's edit", "edit less reconstruction x10")
CHANGE = ("difference x10", "where it changed")
COLUMNS = {
    "frame": ("frame", "d"),
    "seconds": ("seconds", ".2f"),
    "calls": ("network calls", "d"),
    "exact": ("trip exact", ""),
    "changed": ("changed", ".1%"),
    "flicker": ("flicker e-3", ".2f"),
    "plate_flicker": ("plate's flicker e-3", ".2f"),
    "latent_mean": ("latent mean", ".3f"),
    "latent_deviation": ("deviation", ".3f"),
    "latent_kurtosis": ("kurtosis", ".3f"),
    "latent_neighbours": ("neighbours", ".3f"),
}
PLOTS = {
    "flicker": "Flicker of the edit, display-referred RMS e-3",
    "plate_flicker": "Flicker of the plate in the same places",
    "latent_deviation": "Deviation of the latent noise: 1 is what the model knows",
    "changed": "Pixels that changed",
}
LATENT = (
    "Latent: mean, deviation, excess kurtosis and correlation of neighbours of the noise that the walk reached. "
    "What the model was trained on has 0, 1, 0 and 0; the further from it, the less it knows the picture."
)
NOT_KEPT = "What the model saw was not kept: the frame was made without a page. --force makes it again."


def write_page(path: str | pathlib.Path, review: Any, title: str | None = None) -> list[pathlib.Path]:
    """Write a review as PATH and its contact sheets as STEM.contact.FRAME.png beside it, each whole or not at all.

    review: A `sfumato.matte.review.Review`, its pictures named as in `HERO`, `MODEL` and `CHANGE`.

    Returns:
        What was written, the page first.
    """
    return write_whole(path, review.sheets, lambda names: as_html(review, title, names))


def as_html(review: Any, title: str | None = None, names: Sequence[str] = ()) -> str:
    """The page as text; see `write_page`."""
    marked = [frame for frame, _ in review.first]
    line = review.burn.line(review.details[0].frame)
    pictures = review.details[0].pictures
    hero = "".join(figure(pictures[name], name, line) for name in HERO if name in pictures)
    body = [
        facts(review),
        f'<div class="grid hero">{hero}</div>',
        chips(review.first),
        player(review, 24.0),
        plots(review.rows, marked, PLOTS),
        *(_detail(detail, review.burn) for detail in review.details),
        table(review.rows, marked, COLUMNS),
        f'<p class="quiet">{LATENT}</p>',
        sheets(names),
    ]
    return document(heading_of(review, title), body)


def _detail(detail: Any, burn: Any) -> str:
    pictures, line = detail.pictures, burn.line(detail.frame)
    wipes = [wipe(pictures["plate"], pictures["edit"], ("plate", "edit"), line)]
    model = '<p class="sub">The model</p>' + figures(detail, MODEL, burn, LABELS)
    if "reconstruction" in pictures:
        pair = ("seen by the model", "reconstruction")
        wipes.append(wipe(pictures[pair[0]], pictures[pair[1]], pair, line))
    else:
        model = f'<p class="quiet">{NOT_KEPT}</p>'
    return "".join(
        [
            f'<section class="detail" id="f{detail.frame}"><h3>Frame {detail.frame}</h3>',
            f'<p class="quiet">{detail.reason}</p>',
            f'<div class="wipes">{"".join(wipes)}</div>',
            '<p class="sub">What changed</p>' + figures(detail, CHANGE, burn, LABELS),
            model,
            "</section>",
        ]
    )
