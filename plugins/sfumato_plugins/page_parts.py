"""What review pages are made of: pictures that open, wipes, chips to jump to a frame, a table; one file, no network."""

from __future__ import annotations

import base64
import html
import json
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sfumato_plugins.page_plot import plot

Path = pathlib.Path
Columns = Mapping[str, tuple[str, str]]
"""Heading and format of the columns that come first, by the rows' own names."""


def write_whole(path: str | Path, pictures: Mapping[str, bytes], text: Callable[[list[str]], str]) -> list[Path]:
    """Write contact sheets as STEM.contact.NAME.png, then the page, each whole or not at all; the page comes first.

    text: Makes the page from the names of its sheets.
    """
    from sfumato.atomic import write_bytes

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {path.with_name(f"{path.stem}.contact.{name}.png"): data for name, data in pictures.items()}
    for file, data in files.items():
        write_bytes(file, data)
    write_bytes(path, text(sorted(file.name for file in files)).encode("utf-8"))
    return [path, *files]


def heading_of(review: Any, title: str | None) -> str:
    """What a page is called: as told, else shot and version, else the tool."""
    return title or "  ".join(part for part in (review.burn.shot, review.burn.version) if part) or review.burn.tool


def document(heading: str, body: Sequence[str]) -> str:
    """The whole page as text: nothing on it can call out."""
    beside = pathlib.Path(__file__).with_name("page")
    style = beside.with_suffix(".css").read_text(encoding="utf-8")
    script = beside.with_suffix(".js").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{escaped(heading)}</title><style>{style}</style></head><body>\n"
        f"<h1>{escaped(heading)}</h1>\n"
        + "\n".join(part for part in body if part)
        + f'\n<div id="big"></div><script>{script}</script></body></html>\n'
    )


def escaped(words: object) -> str:
    """Words that no browser takes for tags."""
    return html.escape(str(words))


def source(picture: bytes) -> str:
    """A PNG or JPEG file as an address that holds it."""
    kind = "png" if picture[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


def facts(review: Any) -> str:
    """The line under the heading: tool, frames, size and what the review's summary adds."""
    frames = [row["frame"] for row in review.rows]
    span = f"{frames[0]}-{frames[-1]}" if len(frames) > 1 else str(frames[0])
    told = {
        "tool": review.burn.tool,
        "preset": review.burn.preset,
        "frames": f"{span} ({len(frames)})",
        "size": "{} x {}".format(*review.size),
        **review.summary,
    }
    return (
        '<div class="facts">'
        + "".join(f"<span>{escaped(k)} <b>{escaped(v)}</b></span>" for k, v in told.items() if v)
        + "</div>"
    )


def figure(picture: bytes, name: str, burn: str, note: str = "") -> str:
    """One picture with its name under it."""
    small = f"<small>{escaped(note)}</small>" if note else ""
    return (
        f'<figure><img src="{source(picture)}" alt="{escaped(name)}" loading="lazy">'
        f'<div class="burn">{escaped(burn)}</div><figcaption>{escaped(name)}{small}</figcaption></figure>'
    )


def figures(detail: Any, names: Iterable[str], burn: Any, labels: Mapping[str, str]) -> str:
    """Those of a frame's pictures that are there, side by side."""
    line = burn.line(detail.frame)
    shown = [figure(detail.pictures[n], n, line, labels.get(n, "")) for n in names if n in detail.pictures]
    return f'<div class="grid">{"".join(shown)}</div>' if shown else ""


def player(review: Any, rate: float) -> str:
    """The playable clip; nothing for a still."""
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
        f'<button data-mode="{escaped(mode)}" aria-pressed="{"true" if mode == modes[0] else "false"}">'
        f"{escaped(mode)}</button>"
        for mode in modes
    )
    return (
        f'<h2>The shot</h2><div class="player" tabindex="0"><canvas width="480" height="270"></canvas><div class="bar">'
        f'<button class="play">Play</button><button class="bounce" aria-pressed="true">To and fro</button>'
        f'<input type="range" min="0" max="{len(review.clip_frames) - 1}" value="0" aria-label="frame">'
        f'<span class="number"></span>{buttons}</div></div><script type="application/json" id="clip">{text}</script>'
    )


def plots(rows: Sequence[Mapping[str, Any]], marked: Sequence[int], titles: Mapping[str, str]) -> str:
    """Lines over the frames, one for each of the rows' numbers that has a title; nothing for a still."""
    frames = [row["frame"] for row in rows]
    if len(frames) < 2:
        return ""
    shown = [plot(title, frames, [row.get(name) for row in rows], marked) for name, title in titles.items()]
    cards = "".join(f'<div class="plot">{svg}</div>' for svg in shown if svg)
    return f'<h2>Over the shot</h2><div class="plots">{cards}</div>'


def chips(first: Sequence[tuple[int, str]]) -> str:
    """The frames to look at first, with the reason, as links to them."""
    made = "".join(
        f'<a class="chip" href="#f{frame}"><b>{frame}</b><span>{escaped(why)}</span></a>' for frame, why in first
    )
    return f'<h2>Look at these first</h2><div class="chips">{made}</div>'


def wipe(left: bytes, right: bytes, names: tuple[str, str], burn: str) -> str:
    """Two pictures of one size, one over the other, with an edge to drag."""
    return (
        f'<div class="wipe"><figure><div class="stage"><img src="{source(left)}" alt="{escaped(names[0])}">'
        f'<img src="{source(right)}" alt="{escaped(names[1])}"><div class="edge"></div></div>'
        f'<div class="burn">{escaped(burn)}</div><figcaption><div class="bar"><span>{escaped(names[0])}</span>'
        f'<input type="range" min="0" max="100" step="0.1" aria-label="wipe"><span>{escaped(names[1])}</span></div>'
        "</figcaption></figure></div>"
    )


def table(rows: Sequence[Mapping[str, Any]], first: Sequence[int], columns: Columns) -> str:
    """Every frame's numbers; those `columns` does not name follow as they are."""
    present = [name for name in columns if any(row.get(name) is not None for row in rows)]
    others = {name: None for row in rows for name, value in row.items() if name not in columns and _plain(value)}
    names = [*present, *others]
    head = "".join(f"<th>{escaped(columns[n][0] if n in columns else n)}</th>" for n in names)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{_cell(row.get(name), columns.get(name, ('', ''))[1])}</td>" for name in names)
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
    return escaped(value)


def sheets(names: Sequence[str]) -> str:
    """The names of the contact sheets beside the page."""
    links = ", ".join(f"{escaped(name)}" for name in names)
    return f'<h2>Contact sheets</h2><p class="quiet">{links}</p>' if names else ""
