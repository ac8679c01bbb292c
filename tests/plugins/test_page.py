"""The review page: one file with everything inside, whole or not there, and nothing on it that could call out."""

import html.parser
import pathlib
import re
from dataclasses import dataclass
from types import SimpleNamespace as Bag
from typing import Any

import pytest

from sfumato_plugins.page import as_html, write_page
from sfumato_plugins.page_plot import nice, plot

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
JPEG = b"\xff\xd8\xff" + b"pixels"


@dataclass
class FakeBurn:
    shot: str = "ab_010"
    version: str = "v003"
    tool: str = "sfumato matte 0.1.0"
    preset: str = "final"

    def line(self, frame: Any = None) -> str:
        return f"{self.shot} {self.version} {frame} {self.tool} {self.preset}"


def review(frames: int = 3, **changes: Any) -> Any:
    names = ("plate", "trimap", "alpha", "over grey", "alpha, gamma 5", "residual")
    numbers = list(range(1001, 1001 + frames))
    detail = Bag(
        frame=1001,
        reason="least sure",
        pictures={name: JPEG if name == "plate" else PNG for name in names},
        crops=[Bag(left=3, top=4, pictures={"alpha": PNG})],
    )
    values = {
        "burn": FakeBurn(),
        "size": (640, 360),
        "summary": {"colour space": "ACEScg"},
        "rows": [
            {"frame": n, "residual": 0.001 * n, "chatter": None, "seconds": 1.0, "device": "cpu"} for n in numbers
        ],
        "first": [(1001, "least sure")],
        "details": [detail],
        "clip_frames": numbers,
        "clip": {"plate": [JPEG] * frames, "alpha": [JPEG] * frames},
        "sheets": {"1001": PNG},
    }
    return Bag(**{**values, **changes})


class Balanced(html.parser.HTMLParser):
    """Fails on a tag that is closed and was not open."""

    VOID = ("meta", "img", "input", "br", "path", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_every_tag_is_closed():
    parser = Balanced()
    parser.feed(as_html(review()))
    assert parser.open == []


def test_nothing_on_the_page_comes_from_elsewhere():
    text = as_html(review())
    assert not re.findall(r"""(?:src|href)=["'](?!data:|\#)""", text)
    assert not re.findall(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text


def test_what_artists_typed_is_text_and_not_markup():
    text = as_html(review(summary={"note": "<script>alert(1)</script>"}))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_the_page_says_shot_version_frame_tool_and_preset():
    text = as_html(review())
    assert "ab_010 v003 1001 sfumato matte 0.1.0 final" in text
    assert "Look at these first" in text


def test_a_still_has_no_player_and_no_plots():
    text = as_html(review(frames=1))
    assert "<canvas" not in text
    assert "<svg" not in text


def test_a_previous_version_brings_a_wipe():
    told = review()
    before = as_html(told).count('class="wipe"')
    told.details[0].pictures["previous alpha"] = PNG
    assert as_html(told).count('class="wipe"') == before + 1


def test_page_and_sheets_are_written_beside_each_other(tmp_path: pathlib.Path):
    pytest.importorskip("sfumato", reason="the engine writes the pictures, and it is not installed")
    written = write_page(tmp_path / "new" / "matte.html", review())
    assert [path.name for path in written] == ["matte.html", "matte.contact.1001.png"]
    assert written[1].read_bytes() == PNG
    assert sorted(path.name for path in written[0].parent.iterdir()) == ["matte.contact.1001.png", "matte.html"]
    assert "matte.contact.1001.png" in written[0].read_text(encoding="utf-8")


def test_a_plot_leaves_gaps_where_nothing_is_known():
    svg = plot("chatter", [1, 2, 3, 4], [0.1, None, 0.2, float("nan")], marked=[3])
    assert svg.count("<circle") == 2
    assert "M" in svg
    assert plot("nothing", [1, 2], [None, None]) == ""


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.013, 0.02), (1, 1), (2.4, 2.5), (7, 10), (0.2, 0.2)])
def test_axes_end_at_round_numbers(value: float, top: float):
    assert nice(value) == pytest.approx(top)
