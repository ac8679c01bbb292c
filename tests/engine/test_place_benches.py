"""The benches of placement: their cases, what they measure, and a table of a few pictures."""

import json
import subprocess
import sys

import pytest

from sfumato.place.box import Box
from sfumato_plugins.benches.place_cases import MOST, NARROW, cases
from sfumato_plugins.benches.place_measure import interval, measured, summary
from sfumato_plugins.benches.trail import WHOLE
from sfumato_plugins.benches.trail_cases import KINDS, shots, truth
from sfumato_plugins.benches.trail_measure import jerk, shot_row, shots_summary


@pytest.mark.parametrize("objects", [1, 2, 3])
def test_cases_are_the_same_for_a_seed_and_their_boxes_are_apart(objects):
    made = cases(20, objects, 0)
    assert made[:5] == cases(5, objects, 0) != cases(5, objects, 1)
    for case in made:
        assert all(phrase in case.prompt for phrase in case.phrases)
        for number, box in enumerate(case.boxes):
            assert max(box.width, box.height) <= MOST[objects]
            assert max(box.width, box.height) <= NARROW * min(box.width, box.height) + 1e-9
            assert not any(box.shared(other) for other in case.boxes[:number])


@pytest.mark.parametrize("kind", WHOLE)
def test_the_truth_of_a_shot_measures_as_one(kind):
    made = shots(kind, 3, 8, 0)
    row = shots_summary([shot_row(truth(shot, 64), shot) | {"calls": 0, "seconds": 0} for shot in made])
    assert row["miou"] >= {"crossing": 0.75}.get(kind, 0.92)  # where one hides the other
    assert row["presence"] >= 0.95
    if kind != "crossing":
        assert row["centroid"] < 0.01
        assert row["binding"] == 1
        assert row["lag"] is None or row["lag"] < 0.2
    if kind == "grow":
        assert row["grows"] > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_shots_are_the_same_for_a_seed_and_their_things_are_seen(kind):
    made = shots(kind, 6, 8, 0)
    assert made[:2] == shots(kind, 2, 8, 0) != shots(kind, 2, 8, 1)
    for shot in made:
        staging = shot.staging()
        staging.check()
        assert staging.count == len(shot.boxes) == 8
        assert (shot.boxes[0][0] is None) == (kind == "entering")
        assert (shot.boxes[-1][0] is None) == (kind == "leaving")


def test_jerk_is_none_on_a_straight_way_and_large_on_a_shaken_one():
    straight = [Box(i / 20, 0.2, i / 20 + 0.3, 0.5) for i in range(8)]
    shaken = [Box(0.3 + 0.05 * (i % 2), 0.2, 0.6 + 0.05 * (i % 2), 0.5) for i in range(8)]
    assert jerk(straight) == pytest.approx(0, abs=1e-12)
    assert jerk(shaken) == pytest.approx(0.05 * 4 / 2**0.5)
    assert jerk([straight[0], None, *straight[2:4]]) is None


def test_a_missing_object_counts_nothing_and_is_not_present():
    shot = shots("linear", 1, 8, 3)[0]
    picture = truth(shot, 64)[0]
    row = measured(picture, [shot.phrases[0][0], "red ball" if "red" not in shot.phrases[0][0] else "blue ball"],
                   [shot.boxes[0][0], Box(0, 0, 0.2, 0.2)], shot.ground)  # fmt: skip
    assert row["ious"][0] > 0.9
    assert row["ious"][1] == 0
    assert row["present"] == 1
    assert not row["placed"]
    assert row["background"] < 30


def test_intervals_hold_the_mean_and_narrow_with_more_pictures():
    few = interval([(0.2, 1), (0.6, 1), (0.7, 1), (0.4, 1)])
    many = interval([(0.2, 1), (0.6, 1), (0.7, 1), (0.4, 1)] * 50)
    assert few[0] < many[0] < 0.475 < many[1] < few[1]
    assert summary([measured_row(0.5), measured_row(1.0)])["miou"] == pytest.approx(0.75)


def measured_row(iou):
    return {"ious": [iou], "present": 1, "bound": 1, "placed": True, "background": None, "sharpness": 0.1,
            "calls": 24, "seconds": 0.1}  # fmt: skip


@pytest.mark.slow
def test_the_bench_prints_one_document_and_says_the_rest_elsewhere():
    command = [sys.executable, "-m", "sfumato_plugins.cli", "bench", "place", "--json", "--count", "1"]
    done = subprocess.run([*command, "--model", "embedded_micro", "--methods", "none,fast"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    document = json.loads(done.stdout)
    assert [row["method"] for row in document["rows"][:3]] == ["none", "fast", "fast, strength 0.5"]
    assert {"name", "value", "bound", "met"} == set(document["targets"][0])
    assert b"1 object" in done.stderr


def test_fast_holds_next_to_no_more_memory_than_an_unedited_render():
    pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")
    from sfumato.models.load import load_model
    from sfumato.place.calibration import DEFAULT
    from sfumato_plugins.benches.place_memory import memory

    fast, precise = memory(load_model("embedded_micro"), DEFAULT)
    assert 1 <= fast["over_unedited"] <= 1.05
    assert precise["over_unedited"] > fast["over_unedited"]
