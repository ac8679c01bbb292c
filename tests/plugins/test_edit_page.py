"""The page of an edit: one file with everything inside, what a supervisor looks for, honest where it knows less."""

import re

import pytest

from sfumato_plugins.editing.page import NOT_KEPT
from sfumato_plugins.editing.review import look_first
from sfumato_plugins.run import run


@pytest.fixture
def page(editing):
    """page() edits frames 1-3 with a page and gives its text."""

    def made(**more):
        path = editing.folder / "out" / "page.html"
        outputs = {"edit": editing.edit, "page": str(path)}
        run(editing.write(1, 2, 3).job("1-3", outputs=outputs, **more))
        return path.read_text(encoding="utf-8")

    return made


def test_everything_is_on_it_and_nothing_calls_out(page, editing):
    text = page()
    for name in ("plate", "reconstruction", "edit", "difference x10", "seen by the model", "where it changed"):
        assert f'alt="{name}"' in text, name
    assert text.count('class="wipe"') == 2 * text.count('class="detail"')
    assert "exact in 3 of 3 frames" in text
    for heading in ("seconds", "network calls", "latent mean", "deviation", "flicker e-3"):
        assert f"<th>{heading}</th>" in text, heading
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", text)
    sheets = sorted(path.name for path in (editing.folder / "out").glob("page.contact.*.png"))
    assert sheets
    assert all(name in text for name in sheets)
    assert (editing.folder / "out" / sheets[0]).read_bytes().startswith(b"\x89PNG")


def test_the_hidden_folder_is_gone_when_the_page_is_there(page, editing):
    page()
    assert not (editing.folder / "out" / ".E.sfumato").exists()


def test_a_page_asked_for_afterwards_says_what_it_cannot_show(page, editing):
    run(editing.write(1, 2, 3).job("1-3"))
    text = page()
    assert NOT_KEPT in text
    assert 'alt="reconstruction"' not in text
    assert 'alt="edit"' in text


def test_the_frames_to_look_at_first_are_those_that_need_it():
    rows = [
        {"frame": n, "changed": 0.1 * n, "exact": n != 2, "flicker": 5.0 + (n == 3), "plate_flicker": 5.0}
        for n in range(1, 6)
    ]
    assert look_first(rows) == [
        (2, "the trip is not exact, in 1 frames"),
        (3, "flickers by 6.0e-3, its plate by 5.0e-3"),
        (5, "changed most, 50.0% of the pixels"),
        (1, "the first frame"),
    ]
    assert look_first([{"frame": 7}]) == [(7, "the first frame")]
