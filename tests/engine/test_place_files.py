"""Track files, other programs' files, and what goes out to other back-ends."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import InputError, RequestError
from sfumato.place.box import Box
from sfumato.place.exports import control_frame, flux_rows, point_tracks
from sfumato.place.imports import directed_diffusion_boxes, flux_boxes, pixel_boxes
from sfumato.place.imports_trailblazer import read_recipe
from sfumato.place.staging import Staging, Subject
from sfumato.place.track import BoxTrack, Curve, Key
from sfumato.place.track_file import document, from_document, read_track, write_track

numbers = st.floats(-2, 2, allow_nan=False)
boxes = st.tuples(numbers, numbers, st.floats(0.01, 2), st.floats(0.01, 2)).map(
    lambda n: Box(n[0], n[1], n[0] + n[2], n[1] + n[3])
)
frames = st.lists(st.integers(-500, 2000), min_size=1, max_size=8, unique=True).map(sorted)


@st.composite
def tracks(draw):
    if draw(st.booleans()):
        baked = draw(st.lists(st.none() | boxes, min_size=1, max_size=12).filter(lambda found: any(found)))
        return BoxTrack.baked(draw(st.integers(-100, 100)), baked)
    way = st.sampled_from(["linear", "hold", "ease"])
    keys = [Key(f, draw(boxes), draw(way), draw(st.booleans())) for f in draw(frames)]
    return BoxTrack((*keys, Key(keys[-1].frame + 1, draw(boxes))))


@st.composite
def stagings(draw):
    def curve():
        return Curve(tuple((f, draw(st.floats(0, 1))) for f in draw(frames)))

    subjects = [
        Subject(f"object {i}", (f"thing{i}", "stuff"), draw(tracks()), curve(), curve())
        for i in range(draw(st.integers(0, 3)))
    ]
    words = " and ".join(f"thing{i}" for i in range(3))
    prompts = tuple((f, f"{words} in {i}") for i, f in enumerate(draw(frames)))
    return Staging(
        prompts,
        tuple(subjects),
        draw(st.integers(-99, 99)),
        draw(st.integers(1, 99)),
        draw(st.floats(1, 120)),
        draw(st.integers(16, 8192)),
        draw(st.integers(16, 8192)),
        draw(st.floats(0.5, 2)),
    )


@settings(max_examples=60, deadline=None)
@given(staging=stagings())
def test_a_track_file_gives_back_what_was_written(tmp_path_factory, staging):
    path = tmp_path_factory.mktemp("track") / "t.json"
    write_track(path, staging)
    assert read_track(path) == staging


def test_a_thousand_frames_of_ten_objects_are_read_whole(tmp_path):
    one = [Box(i / 2000, 0.1, i / 2000 + 0.2, 0.4) for i in range(1000)]
    subjects = [Subject(f"o{i}", (f"o{i}",), BoxTrack.baked(1001, one)) for i in range(10)]
    staging = Staging(((1001, " ".join(s.name for s in subjects)),), tuple(subjects), 1001, 1000)
    write_track(tmp_path / "t.json", staging)
    again = read_track(tmp_path / "t.json")
    again.check()
    assert [again.seen(again.subjects[9], 1001 + i) for i in range(1000)] == one


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "sfumato.track/9"}, "is of schema sfumato.track/9"),
        ({"size": None}, "holds something odd"),
        ({"objects": [{"name": "a", "phrases": ["thing"]}]}, "lacks 'start'"),
        ({"objects": 3}, "holds something odd"),
    ],
)
def test_a_track_file_that_makes_no_sense_is_named(change, said):
    good = document(Staging(((1, "a thing"),), ()))
    assert from_document(good) == Staging(((1, "a thing"),), ())
    with pytest.raises(InputError, match=said):
        from_document(good | change)


def test_a_file_that_is_missing_or_no_json_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_track(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        read_track(tmp_path / "bad.json")


def test_each_program_s_order_of_edges_is_its_own():
    box = Box(0.1, 0.5, 0.4, 0.8)
    assert directed_diffusion_boxes([0.1, 0.4, 0.5, 0.8]) == [box]
    assert flux_boxes([[0.5, 0.1, 0.8, 0.4]]) == [box]
    assert pixel_boxes([[10, 100, 40, 160]], 100, 200) == [box]
    with pytest.raises(RequestError, match="5 numbers make no boxes"):
        directed_diffusion_boxes([1, 2, 3, 4, 5])


def test_flux_rows_go_out_as_they_came_in():
    staging = Staging(
        ((1, "a red ball and a cat"),),
        (
            Subject("ball", ("red ball",), BoxTrack.still(Box(0.1, 0.5, 0.4, 0.8))),
            Subject("cat", ("cat",), BoxTrack.baked(1, [Box(1.5, 0, 2, 1), Box(-0.5, 0, 0.5, 1)])),
        ),
        1,
        2,
    )
    (row,) = flux_rows(staging, 1)
    assert row == {"id": 0, "desc": "red ball", "tgt_bbox": [0.5, 0.1, 0.8, 0.4]}
    assert flux_rows(staging, 2)[1]["tgt_bbox"] == [0, 0, 1, 0.5]
    assert flux_boxes([row["tgt_bbox"] for row in flux_rows(staging, 2)])[0] == Box(0.1, 0.5, 0.4, 0.8)


def test_a_control_frame_is_white_where_the_boxes_are_and_black_elsewhere():
    staging = Staging(((1, "a ball"),), (Subject("ball", ("ball",), BoxTrack.still(Box(0.25, 0.5, 0.5, 1))),))
    picture = control_frame(staging, 1, 6, 8)
    assert torch.equal(picture[0, 3:, 2:4], torch.ones(3, 2))
    assert float(picture.sum()) == 6
    assert float(control_frame(staging, 1, 5, 7).sum()) == pytest.approx(0.25 * 0.5 * 35, rel=1e-6)


def test_point_tracks_are_in_the_host_s_pixels_and_empty_where_nothing_is_seen():
    track = BoxTrack.baked(1, [Box(0, 0, 0.5, 0.5), Box(1.2, 0, 1.4, 1)])
    staging = Staging(((1, "a ball"),), (Subject("ball", ("ball",), track),), 1, 2, width=200, height=100)
    (found,) = point_tracks(staging)
    assert found["frames"] == [1, 2]
    assert found["centre"] == [[50, 25], None]
    assert found["corners"][0] == [[0, 0], [100, 0], [100, 50], [0, 50]]


RECIPE = """
keyframe:
- {bbox_ratios: [0.0, 0.35, 0.3, 0.65], frame: 0, prompt: A cat is running on the grass}
- {bbox_ratios: [0.7, 0.35, 1.0, 0.65], frame: 6, prompt: A cat is running on the grass}
- {bbox_ratios: [0.0, 0.35, 0.3, 0.65], frame: 24, prompt: A cat is running on the grass}
seed: 123
token_inds: [2]
width: 576
height: 320
num_inference_steps:
trailblazer: {num_dd_spatial_steps: 5, spatial_strengthen_scale: 0.125, trailing_length: 15}
"""


def recipe(folder, text=RECIPE, name="r.yaml"):
    (folder / name).write_text(text)
    return read_recipe(folder / name)


def test_a_recipe_of_one_subject_is_read_with_its_settings_and_warnings(tmp_path):
    found = recipe(tmp_path)
    assert (found.seed, found.steps, found.staging.count) == (123, 40, 25)
    assert found.settings == {"num_dd_spatial_steps": 5, "spatial_strengthen_scale": 0.125, "trailing_length": 15}
    (cat,) = found.staging.subjects
    assert cat.phrases == ("cat",)
    assert cat.track.at(3).left == pytest.approx(0.35)
    assert found.staging.prompts == ((0, "A cat is running on the grass"),)
    said = " ".join(found.warnings)
    for bug in ("repeats the frame at each key", "25 frames", "never makes its temporal edit", "words on quality"):
        assert bug in said
    found.staging.check()


def test_each_known_bug_that_a_recipe_would_meet_has_its_sentence(tmp_path):
    square = RECIPE.replace("576", "512").replace("320", "512").replace("frame: 6", "frame: 1")
    said = " ".join(recipe(tmp_path, square.replace("0.7, 0.35, 1.0, 0.65", "0.7, 0.26, 0.78, 0.36")).warnings)
    for bug in ("divides by zero", "where there is no prompt", "erases its object"):
        assert bug in said
    assert "never makes its temporal edit" not in said


def test_a_recipe_whose_prompt_changes_has_a_phrase_for_each(tmp_path):
    text = RECIPE.replace("frame: 24, prompt: A cat", "frame: 24, prompt: A dog")
    found = recipe(tmp_path, text)
    assert found.staging.subjects[0].phrases == ("cat", "dog")
    assert [frame for frame, _ in found.staging.prompts] == [0, 6, 24]


def test_an_old_recipe_with_settings_beside_everything_else_is_read(tmp_path):
    text = RECIPE.replace("trailblazer: {num", "num").replace(", spatial", "\nspatial").replace(", trail", "\ntrail")
    assert recipe(tmp_path, text.replace("15}", "15")).settings["trailing_length"] == 15


def test_a_recipe_with_a_prompt_alone_has_no_boxes_and_says_so(tmp_path):
    found = recipe(tmp_path, "prompt: A colorful hot air balloon\nseed: 4\ntoken_inds: [3, 4, 5]\nwidth: 576\n")
    assert found.staging.subjects == ()
    assert "has no boxes" in found.warnings[0]


def test_a_recipe_of_several_subjects_reads_those_beside_it(tmp_path):
    (tmp_path / "Cat.yaml").write_text(RECIPE)
    (tmp_path / "Dog.yaml").write_text(RECIPE.replace("A cat", "A dog"))
    text = (
        "multisubs: {seed: 7, num_integration_steps: 20, prompt: a dog and a cat, subjects: [/x/Dog.0000.pt, Cat.pt]}"
    )
    found = recipe(tmp_path, text)
    assert [s.name for s in found.staging.subjects] == ["dog", "cat"]
    assert (found.composed, found.seed) == (20, 7)
    assert any("with the width alone" in warning for warning in found.warnings)
    (tmp_path / "Both.yaml").write_text(text)
    (tmp_path / "Words.yaml").write_text("prompt: a dog\ntoken_inds: [2]\n")
    for other in ("Both", "Words"):
        with pytest.raises(InputError, match=f"{other}.yaml has no boxes of its own to compose"):
            recipe(tmp_path, text.replace("Cat.pt", f"{other}.pt"))
    with pytest.raises(InputError, match=r"needs Bird.yaml beside it"):
        recipe(tmp_path, text.replace("Cat.pt", "Bird.0001.pt"))


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "is no YAML"), ("a: 1", "is no TrailBlazer recipe"), ("prompt: a\n", "lacks 'token_inds'")],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        recipe(tmp_path, text)


def test_the_document_is_plain_json():
    staging = Staging(((1, "a ball"),), (Subject("b", ("ball",), BoxTrack.still(Box(0, 0, 1, 1))),))
    assert from_document(json.loads(json.dumps(document(staging)))) == staging
