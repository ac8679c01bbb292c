"""A review page: one HTML file with everything inside, no network, and contact sheets as PNG beside it."""

from __future__ import annotations

import base64
import html
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sfumato_plugins.page_plot import plot

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
    from sfumato.atomic import write_bytes

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheets = {path.with_name(f"{path.stem}.contact.{name}.png"): data for name, data in review.sheets.items()}
    for sheet, data in sheets.items():
        write_bytes(sheet, data)
    write_bytes(path, as_html(review, title, rate, sorted(sheet.name for sheet in sheets)).encode("utf-8"))
    return [path, *sheets]


def as_html(review: Any, title: str | None = None, rate: float = 24.0, sheets: Sequence[str] = ()) -> str:
    """The page as text; see `write_page`."""
    burn, beside = review.burn, Path(__file__)
    style = beside.with_suffix(".css").read_text(encoding="utf-8")
    script = beside.with_suffix(".js").read_text(encoding="utf-8")
    heading = title or "  ".join(part for part in (burn.shot, burn.version) if part) or burn.tool
    body = [
        f"<h1>{_e(heading)}</h1>",
        _facts(review),
        _hero(review.details[0], burn),
        _first(review.first),
        _player(review, rate),
        _plots(review),
        *(_detail(detail, burn) for detail in review.details),
        _table(review.rows, [frame for frame, _ in review.first]),
        _sheets(sheets),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{_e(heading)}</title><style>{style}</style></head><body>\n"
        + "\n".join(part for part in body if part)
        + f'\n<div id="big"></div><script>{script}</script></body></html>\n'
    )


def _e(words: object) -> str:
    return html.escape(str(words))


def _source(picture: bytes) -> str:
    kind = "png" if picture[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


def _facts(review: Any) -> str:
    frames = [row["frame"] for row in review.rows]
    span = f"{frames[0]}-{frames[-1]}" if len(frames) > 1 else str(frames[0])
    facts = {
        "tool": review.burn.tool,
        "preset": review.burn.preset,
        "frames": f"{span} ({len(frames)})",
        "size": "{} x {}".format(*review.size),
        **review.summary,
    }
    return (
        '<div class="facts">'
        + "".join(f"<span>{_e(k)} <b>{_e(v)}</b></span>" for k, v in facts.items() if v)
        + "</div>"
    )


def _figure(picture: bytes, name: str, burn: str, note: str = "") -> str:
    small = f"<small>{_e(note)}</small>" if note else ""
    return (
        f'<figure><img src="{_source(picture)}" alt="{_e(name)}" loading="lazy">'
        f'<div class="burn">{_e(burn)}</div><figcaption>{_e(name)}{small}</figcaption></figure>'
    )


def _figures(detail: Any, names: Iterable[str], burn: Any) -> str:
    line = burn.line(detail.frame)
    shown = [_figure(detail.pictures[n], n, line, LABELS.get(n, "")) for n in names if n in detail.pictures]
    return f'<div class="grid">{"".join(shown)}</div>' if shown else ""


def _hero(detail: Any, burn: Any) -> str:
    line = burn.line(detail.frame)
    shown = [_figure(detail.pictures[name], name, line) for name in ("plate", "trimap", "alpha", "over grey")]
    return f'<div class="grid hero">{"".join(shown)}</div>'


def _first(first: Sequence[tuple[int, str]]) -> str:
    chips = "".join(
        f'<a class="chip" href="#f{frame}"><b>{frame}</b><span>{_e(why)}</span></a>' for frame, why in first
    )
    return f'<h2>Look at these first</h2><div class="chips">{chips}</div>'


def _player(review: Any, rate: float) -> str:
    if len(review.clip_frames) < 2:
        return ""
    modes = [mode for mode, pictures in review.clip.items() if pictures]
    data = {
        "modes": modes,
        "frames": review.clip_frames,
        "rate": rate,
        "burn": review.burn.line().replace("@", "") + "   @",
        "pictures": {mode: [base64.b64encode(p).decode("ascii") for p in review.clip[mode]] for mode in modes},
    }
    text = json.dumps(data).replace("<", "\\u003c")
    buttons = "".join(
        f'<button data-mode="{_e(mode)}" aria-pressed="{"true" if mode == modes[0] else "false"}">{_e(mode)}</button>'
        for mode in modes
    )
    return (
        f'<h2>The shot</h2><div class="player" tabindex="0"><canvas width="480" height="270"></canvas><div class="bar">'
        f'<button class="play">Play</button><button class="bounce" aria-pressed="true">To and fro</button>'
        f'<input type="range" min="0" max="{len(review.clip_frames) - 1}" value="0" aria-label="frame">'
        f'<span class="number"></span>{buttons}</div></div><script type="application/json" id="clip">{text}</script>'
    )


def _plots(review: Any) -> str:
    frames = [row["frame"] for row in review.rows]
    if len(frames) < 2:
        return ""
    marked = [frame for frame, _ in review.first]
    titles = {
        "chatter": "Alpha chatter: RMS in the band against the mean of both neighbours",
        "residual": "Residual: RMS of plate minus layers in the band, linear",
        "confidence": "Confidence: mean in the band",
        "mse": "Error against the truth: MSE e-3",
    }
    shown = [plot(title, frames, [row.get(name) for row in review.rows], marked) for name, title in titles.items()]
    cards = "".join(f'<div class="plot">{svg}</div>' for svg in shown if svg)
    return f'<h2>Over the shot</h2><div class="plots">{cards}</div>'


def _wipe(left: bytes, right: bytes, names: tuple[str, str], burn: str) -> str:
    return (
        f'<div class="wipe"><figure><div class="stage"><img src="{_source(left)}" alt="{_e(names[0])}">'
        f'<img src="{_source(right)}" alt="{_e(names[1])}"><div class="edge"></div></div>'
        f'<div class="burn">{_e(burn)}</div><figcaption><div class="bar"><span>{_e(names[0])}</span>'
        f'<input type="range" min="0" max="100" step="0.1" aria-label="wipe"><span>{_e(names[1])}</span></div>'
        "</figcaption></figure></div>"
    )


def _detail(detail: Any, burn: Any) -> str:
    pictures, line = detail.pictures, burn.line(detail.frame)
    wipes = [_wipe(pictures["plate"], pictures["over grey"], ("plate", "over grey"), line)]
    if "previous alpha" in pictures:
        wipes.append(_wipe(pictures["previous alpha"], pictures["alpha"], ("previous version", "this version"), line))
    parts = [
        f'<section class="detail" id="f{detail.frame}"><h3>Frame {detail.frame}</h3>',
        f'<p class="quiet">{_e(detail.reason)}</p>',
        f'<div class="wipes">{"".join(wipes)}</div>',
        '<p class="sub">Over backgrounds</p>' + _figures(detail, OVER, burn),
        '<p class="sub">Alpha, pushed</p>' + _figures(detail, PUSHED, burn),
        '<p class="sub">Where to doubt it</p>' + _figures(detail, MAPS, burn),
        _crops(detail),
        '<p class="sub">Layers</p>' + _figures(detail, LAYERS, burn),
        "</section>",
    ]
    return "".join(parts)


def _crops(detail: Any) -> str:
    if not detail.crops:
        return ""
    rows = []
    for place, crop in enumerate(detail.crops, start=1):
        shown = "".join(
            f'<figure><img src="{_source(picture)}" alt="{_e(name)}"><figcaption>{_e(name)}</figcaption></figure>'
            for name, picture in crop.pictures.items()
        )
        rows.append(f'<div class="crop"><p>{place}<br>x {crop.left}, y {crop.top}</p>{shown}</div>')
    return f'<p class="sub">The worst places, 1:1</p><div class="crops">{"".join(rows)}</div>'


def _table(rows: Sequence[Mapping[str, Any]], first: Sequence[int]) -> str:
    present = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    others = {name: None for row in rows for name, value in row.items() if name not in COLUMNS and _plain(value)}
    names = [*present, *others]
    head = "".join(f"<th>{_e(COLUMNS[n][0] if n in COLUMNS else n)}</th>" for n in names)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{_cell(row.get(name), COLUMNS.get(name, ('', ''))[1])}</td>" for name in names)
        mark = ' class="first"' if row["frame"] in first else ""
        lines.append(f"<tr{mark}>{cells}</tr>")
    return f'<h2>Every frame</h2><div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _plain(value: object) -> bool:
    return isinstance(value, (int, float, str, bool))


def _cell(value: object, form: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if form == "d":
            return f"{value:.0f}"
        return f"{value:{form}}" if form else f"{value:.4g}" if isinstance(value, float) else str(value)
    return _e(value)


def _sheets(names: Sequence[str]) -> str:
    links = ", ".join(f"{_e(name)}" for name in names)
    return f'<h2>Contact sheets</h2><p class="quiet">{links}</p>' if names else ""
