"""Keys that an artist fixes in a solve's folder: what is written, what is refused, what counts as changed by hand."""

import json

import pytest

from sfumato_plugins.errors import JobError
from sfumato_plugins.facing.folder import Edit, changed_by_hand, digest_of, edits_of, fix, solve_of


@pytest.fixture
def solved(tmp_path):
    """A folder as a solve leaves it: two controls, three frames."""
    curves = {"schema": "sfumato.curves/1", "fps": 24, "frames": [1001, 1002, 1003], "names": ["jawOpen", "mouthClose"],
              "values": [[0, 0]] * 3}  # fmt: skip
    (tmp_path / "curves.json").write_text(json.dumps(curves))
    (tmp_path / "jaw.json").write_text(json.dumps(curves))
    solve = {"schema": "sfumato.solve/1", "stage": "finetune", "controls": {"jawOpen": [0, 1], "mouthClose": [0, 1]},
             "files": {"jaw.json": digest_of(str(tmp_path), "jaw.json")}}  # fmt: skip
    (tmp_path / "solve.json").write_text(json.dumps(solve))
    return str(tmp_path)


def test_a_key_is_fixed_on_the_nearest_sample_and_replaces_the_one_there(solved):
    assert fix(solved, "jawOpen", 1002.4, 0.4) == Edit(1002.0, "jawOpen", 0.4, False)
    fix(solved, "mouthClose", 1001, 0.1)
    fix(solved, "jawOpen", 1002, 0.6, lock=True)
    assert edits_of(solved) == [Edit(1001, "mouthClose", 0.1), Edit(1002, "jawOpen", 0.6, True)]


def test_a_key_can_be_let_go(solved):
    fix(solved, "jawOpen", 1002, 0.4)
    assert fix(solved, "jawOpen", 1002, None) is None
    assert edits_of(solved) == []
    with pytest.raises(JobError, match="has no fixed key at frame 1002"):
        fix(solved, "jawOpen", 1002, None)


@pytest.mark.parametrize(
    ("control", "frame", "value", "said"),
    [
        ("jawOpne", 1002, 0.4, "did you mean 'jawOpen'"),
        ("jawOpen", 990, 0.4, "no frame 990"),
        ("jawOpen", float("nan"), 0.4, "no frame nan"),
        ("jawOpen", 1002, 1.4, "outside the limits of jawOpen, 0 to 1"),
        ("jawOpen", 1002, float("nan"), "outside the limits"),
    ],
)
def test_a_key_that_cannot_be_is_refused_and_nothing_is_written(solved, control, frame, value, said):
    with pytest.raises(JobError) as caught:
        fix(solved, control, frame, value)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    assert edits_of(solved) == []


def test_a_lock_is_not_lost_in_passing_from_any_panel(solved):
    fix(solved, "jawOpen", 1002, 0.4, lock=True)
    with pytest.raises(JobError, match=r"jawOpen is locked at frame 1002, on 0\.4") as caught:
        fix(solved, "jawOpen", 1002.4, 0.6)
    assert caught.value.exit_code == 2
    assert edits_of(solved) == [Edit(1002, "jawOpen", 0.4, True)]
    assert fix(solved, "jawOpen", 1002, 0.6, lock=True) == Edit(1002, "jawOpen", 0.6, True)


def test_without_a_solve_there_is_nothing_to_fix(tmp_path):
    with pytest.raises(JobError, match="there is no solve in") as caught:
        fix(str(tmp_path), "jawOpen", 1, 0.5)
    assert caught.value.exit_code == 3
    (tmp_path / "solve.json").write_text('{"schema": "sfumato.solve/1", "stage": "clean"}')
    with pytest.raises(JobError, match="no curves are solved"):
        fix(str(tmp_path), "jawOpen", 1, 0.5)


def test_only_what_a_person_changed_counts_as_changed(solved):
    assert changed_by_hand(solved) == {}
    fix(solved, "jawOpen", 1002, 0.4)
    assert list(changed_by_hand(solved)) == ["edits.json"]
    with open(f"{solved}/jaw.json", "a") as file:
        file.write("\n")
    assert set(changed_by_hand(solved)) == {"edits.json", "jaw.json"}


@pytest.mark.parametrize("text", ["[]", '{"schema": "sfumato.edits/1", "keys": [[1, "jawOpen", "x", true]]}', "{"])
def test_a_damaged_file_of_keys_is_named(solved, text):
    with open(f"{solved}/edits.json", "w") as file:
        file.write(text)
    with pytest.raises(JobError, match=r"edits\.json"):
        edits_of(solved)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "solve.json").write_text("[]")
    with pytest.raises(JobError, match=r"is not sfumato\.solve/1"):
        solve_of(str(tmp_path))
