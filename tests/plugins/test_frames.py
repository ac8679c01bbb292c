"""Frame ranges and file patterns mean what they mean in Nuke."""

import hypothesis
import pytest
from hypothesis import strategies

from sfumato_plugins.errors import JobError
from sfumato_plugins.frames import Pattern, format_frames, parse_frames, widen


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("1001", (1001,)),
        ("1001-1003", (1001, 1002, 1003)),
        ("1001-1007x3", (1001, 1004, 1007)),
        ("1,3,5-9x2, 8", (1, 3, 5, 7, 8, 9)),
        ("-3--1", (-3, -2, -1)),
        ("-2-2x2", (-2, 0, 2)),
        ("5,1-3,2", (1, 2, 3, 5)),
    ],
)
def test_a_range_is_read_as_nuke_reads_it(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is not a frame range"),
        ("1-", "is not a frame range"),
        ("1-10:3", "is not a frame range"),
        ("a-b", "is not a frame range"),
        ("1-9x0", "step of zero"),
        ("9-1", "write 1-9"),
        ("1-99999999", "a digit too many"),
    ],
)
def test_what_is_no_range_is_refused_in_words(text, word):
    with pytest.raises(JobError, match=word) as caught:
        parse_frames(text)
    assert caught.value.exit_code == 2


@hypothesis.given(strategies.lists(strategies.integers(-50, 2000), min_size=1, max_size=40))
def test_a_formatted_range_reads_back(frames):
    assert parse_frames(format_frames(frames)) == tuple(sorted(set(frames)))


def test_ranges_are_written_as_people_write_them():
    assert format_frames([1001, 1002, 1003, 1006, 1008]) == "1001-1003,1006,1008"
    assert format_frames([1, 3, 5, 7]) == "1-7x2"


def test_handles_go_on_both_sides_of_a_range_with_holes():
    assert widen((10, 12), 2) == (8, 9, 10, 12, 13, 14)


def test_four_hashes_are_four_digits_and_printf_is_the_same():
    assert Pattern("p/a.####.exr").at(7) == "p/a.0007.exr" == Pattern("p/a.%04d.exr").at(7)
    assert Pattern("a.#.exr").at(1001) == "a.1001.exr"
    assert Pattern("a.####.exr").at(-1) == "a.-001.exr"
    assert Pattern("a.####.exr").at(123456) == "a.123456.exr"


def test_a_hash_in_a_folder_or_earlier_in_the_name_is_a_hash():
    assert Pattern("C#/take#2.####.exr").at(3) == "C#/take#2.0003.exr"


def test_frames_on_disk_are_found_by_exact_padding(tmp_path):
    for name in ("a.0001.exr", "a.0012.exr", "a.-003.exr", "a.12345.exr", "a.012.exr", "a.0001.exr.tmp", "b.0001.exr"):
        (tmp_path / name).touch()
    pattern = Pattern(str(tmp_path / "a.####.exr"))
    assert pattern.on_disk() == (-3, 1, 12, 12345)
    assert pattern.missing((1, 2, 12, 13)) == (2, 13)


def test_one_file_is_a_sequence_of_one_and_serves_every_frame(tmp_path):
    path = tmp_path / "plate.1005.exr"
    path.touch()
    pattern = Pattern(str(path))
    assert not pattern.is_sequence
    assert pattern.on_disk() == (1005,)
    assert pattern.missing((1, 2)) == ()
    assert Pattern(str(tmp_path / "hair.png")).still_frame == 1
    assert Pattern(str(tmp_path / "hair.png")).missing((1, 2)) == (1, 2)


def test_views_fill_in_by_name_and_by_first_letter():
    assert Pattern("%V/a_%v.####.exr").for_view("left").at(1) == "left/a_l.0001.exr"


def test_books_lie_beside_their_sequence():
    assert Pattern("out/M.####.exr").beside(".result.json") == "out/M.result.json"
    assert Pattern("out/M.%V.%04d.exr").beside(".journal.jsonl") == "out/M.journal.jsonl"
    assert Pattern("out/M.exr").beside(".result.json") == "out/M.result.json"
    assert Pattern("out/####.exr").beside(".result.json") == "out/frames.result.json"
    assert Pattern("out/M.####.exr").sidecar(1001) == "out/M.1001.json"
    assert Pattern("out/M.exr").sidecar(1) == "out/M.json"
    assert Pattern("out/solve.json").sidecar(1) == "out/solve.record.json", "never itself"
