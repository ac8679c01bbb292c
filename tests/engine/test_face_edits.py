"""Fixed keys: what depends on them, what keeps its bits, and that their order does not matter."""

import dataclasses
import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.errors import InputError, RequestError
from sfumato.face.binding import Binding
from sfumato.face.clip_settings import ClipSettings
from sfumato.face.curves import Curves, load_curves, save_curves
from sfumato.face.edits import Key, dependants, read_edits, ties, window
from sfumato.face.markers import Markers, load_markers, save_markers
from sfumato.face.rig import NativeRig
from sfumato.face.solver_file import load_solver
from sfumato.face.stage_takes import load_take, save_take
from sfumato.face.stages import run_stage
from sfumato.face.stale import STAGES, is_stale, stale
from sfumato.face.training import TrainSettings, train_solver

CONTROLS = ("jawOpen", "mouthSmile_L", "mouthSmile_R", "browDown_L", "browDown_R", "tongueOut")
FRAMES = tuple(1001.0 + i for i in range(110))
QUICK = ClipSettings(rounds=6)
ENDS = ("jaw", "regions", "finetune")


def rig():
    """48 points on a bowl: jaw and mouth share some, each brow has its own, and what the tongue does no point shows."""
    grid = torch.cartesian_prod(torch.linspace(-5, 5, 6), torch.linspace(-7, 7, 8)).double()
    neutral = torch.cat([grid, 8 - grid.square().sum(1, keepdim=True) / 20], 1)
    centre = torch.tensor([[0, -6], [3, -4], [-3, -4], [3, 5], [-3, 5], [0, -5]]).double()
    way = torch.tensor([[0, -2, 0.5], [0.8, 1, 0], [-0.8, 1, 0], [0, -0.8, 0], [0, -0.8, 0], [0, 0, 0]]).double()
    near = (-(grid[None] - centre[:, None]).square().sum(-1) / 6).exp()
    return NativeRig(CONTROLS, neutral, torch.tensor([[0, 1, 2]]), (near * (near > 0.05))[..., None] * way[:, None])


RIG = rig()
NAMES = tuple(f"m{i:02d}" for i in range(48))
BINDING = Binding(NAMES, torch.arange(48)[:, None].repeat(1, 3), torch.tensor([[1.0, 0, 0]] * 48, dtype=torch.float64))
JAWS = frozenset(CONTROLS[:3])


def performance(seed=1):
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(len(FRAMES), dtype=torch.float64)[:, None] / 60
    pace, phase = 1 + torch.rand(2, 6, generator=draw, dtype=torch.float64)
    values = (2 * time * pace + 6 * phase).sin().clamp(min=0) * 0.8
    noise = torch.randn(len(FRAMES), 48, 3, generator=draw, dtype=torch.float64) * 0.02
    return Markers(NAMES, BINDING.at(RIG, values) + noise, 60.0, 1001.0), Curves(CONTROLS, FRAMES, values, 60.0)


@pytest.fixture(scope="module")
def solver():
    return train_solver(RIG, BINDING, [performance(11)], TrainSettings(samples=600, repeats=2, epochs=6))


@pytest.fixture(scope="module", params=["without a solver", "with a solver"])
def solved(request, solver, tmp_path_factory):
    """A folder that is solved to its end, and what it was solved with."""
    folder = tmp_path_factory.mktemp("solved")
    save_markers(performance()[0], folder / "ingest.json")
    with_what = solver if request.param == "with a solver" else None
    run(folder, with_what)
    return folder, with_what


def run(folder, solver):
    for stage in STAGES:
        if is_stale(folder, stage):
            run_stage(folder, stage, RIG, BINDING, solver, QUICK)


def fix(folder, keys):
    rows = [[key.frame, key.control, key.value, key.locked] for key in keys]
    (folder / "edits.json").write_text(json.dumps({"schema": "sfumato.edits/1", "keys": rows}))


def edited(solved, to, *steps):
    """A copy of a solved folder after one set of keys and then another."""
    folder, solver = solved
    shutil.copytree(folder, to)
    for keys in steps:
        fix(to, keys)
        run(to, solver)
    return to


def contents(folder):
    return [(folder / name).read_bytes() for name in (*(f"{stage}.json" for stage in ENDS), "finetune.safetensors")]


keys = st.builds(
    Key,
    st.sampled_from(FRAMES),
    st.sampled_from(CONTROLS[:5]),
    st.floats(0, 1, allow_subnormal=False),
    st.booleans(),
)
some_keys = st.lists(keys, min_size=1, max_size=3, unique_by=lambda key: (key.frame, key.control))
FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_controls_that_share_a_marker_depend_on_each_other_and_no_others():
    assert dependants(RIG, BINDING, ["jawOpen"]) == JAWS
    assert dependants(RIG, BINDING, ["browDown_L"]) == {"browDown_L"}
    assert dependants(RIG, BINDING, ["tongueOut"]) == {"tongueOut"}  # no marker shows it
    assert dependants(RIG, BINDING, ["browDown_R", "mouthSmile_L"]) >= {"browDown_R", "mouthSmile_L", "jawOpen"}
    assert dependants(RIG, BINDING, []) == frozenset()
    tied = ties(RIG, BINDING)
    assert torch.equal(tied, tied.T)
    with pytest.raises(RequestError, match="the rig has no control 'jawOpne'"):
        dependants(RIG, BINDING, ["jawOpne"])


def test_markers_decide_not_the_skin_between_them():
    upper = BINDING.only([name for name, point in zip(NAMES, RIG.neutral, strict=True) if point[1] > 0])
    assert dependants(RIG, upper, ["jawOpen"]) == {"jawOpen"}


def test_only_networks_of_regions_that_share_markers_with_the_jaw_are_given_it(solver, tmp_path):
    solver.save(tmp_path / "actor.safetensors")
    for one in (solver, load_solver(tmp_path / "actor.safetensors")):
        assert {part.name: part.net.takes for part in one.parts} == {"mouth": 1, "brow": 0}
        markers, truth = performance()
        sure = markers.seen.double()
        shut, wide = (one.regions(markers, sure, opened(truth, value)) for value in (0.0, 1.0))
        assert torch.equal(shut.of("browDown_L"), wide.of("browDown_L"))
        assert not torch.equal(shut.of("mouthSmile_L"), wide.of("mouthSmile_L"))


def opened(curves, value):
    jaw = curves.only(["jawOpen"])
    return dataclasses.replace(jaw, values=torch.full_like(jaw.values, value))


@FEW
@given(fixed=some_keys)
def test_a_locked_key_is_exact_and_all_that_does_not_depend_on_a_key_keeps_its_bits(solved, tmp_path_factory, fixed):
    folder, _ = solved
    to = edited(solved, tmp_path_factory.mktemp("edit") / "v", fixed)
    for stage in ENDS:
        before, after = load_curves(folder / f"{stage}.json"), load_curves(to / f"{stage}.json")
        told = torch.zeros(len(FRAMES), len(after.names), dtype=torch.bool)
        for key in fixed:
            tied = dependants(RIG, BINDING, [key.control])
            told |= window(FRAMES, [key])[:, None] & torch.tensor([name in tied for name in after.names])
            if key.locked and key.control in after.names:
                assert after.of(key.control)[FRAMES.index(key.frame)] == key.value
                assert (key.frame, key.control) in after.locked
        assert torch.equal(before.values[~told], after.values[~told])


@FEW
@given(first=some_keys, then=some_keys)
def test_what_is_solved_is_decided_by_the_keys_not_by_what_was_fixed_before(solved, tmp_path_factory, first, then):
    there = tmp_path_factory.mktemp("order")
    assert contents(edited(solved, there / "a", first, then)) == contents(edited(solved, there / "b", then))


def test_a_key_that_is_let_go_gives_every_byte_back(solved, tmp_path):
    key = Key(1060.0, "jawOpen", 0.9, True)
    to = edited(solved, tmp_path / "v", [key], [])
    assert contents(to) == contents(solved[0])


def test_keys_that_are_there_before_the_first_solve_are_followed_the_same(solved, tmp_path):
    fixed = [Key(1030.0, "jawOpen", 0.5, True), Key(1080.0, "browDown_L", 0.3, False)]
    (tmp_path / "new").mkdir()
    shutil.copy(solved[0] / "ingest.json", tmp_path / "new")
    fix(tmp_path / "new", fixed)
    run(tmp_path / "new", solved[1])
    assert contents(tmp_path / "new") == contents(edited(solved, tmp_path / "v", fixed))


def test_a_key_moves_its_neighbours_and_the_mouth_with_it(solved, tmp_path):
    to = edited(solved, tmp_path / "v", [Key(1060.0, "jawOpen", 0.9, True)])
    before, after = (load_curves(folder / "finetune.json") for folder in (solved[0], to))
    near = slice(56, 63)
    for name in ("jawOpen", "mouthSmile_L", "mouthSmile_R"):
        assert not torch.equal(before.of(name)[near], after.of(name)[near])
    share = (after.of("jawOpen") - before.of("jawOpen")) / (0.9 - before.of("jawOpen")[59])
    assert (share[[58, 60]] > 0.5).all()  # not a jump for one frame
    assert (share[[49, 69]].abs() < 0.1).all()


def test_what_a_person_changed_in_a_stages_file_outlives_keys(solved, tmp_path):
    to = edited(solved, tmp_path / "v")
    jaw = load_curves(to / "jaw.json")
    jaw.values[57, 0] += 0.25
    save_curves(jaw, to / "jaw.json")
    run(to, solved[1])
    for fixed in ([Key(1060.0, "jawOpen", 0.9, True)], [Key(1058.0, "jawOpen", 0.1, True)], []):
        fix(to, fixed)
        run(to, solved[1])
        now = load_curves(to / "jaw.json").of("jawOpen")
        assert now[57] == (0.1 if fixed and fixed[0].frame == 1058 else jaw.values[57, 0])


def test_a_key_of_the_brow_leaves_the_stage_of_the_jaw_alone(solved, tmp_path):
    to = edited(solved, tmp_path / "v")
    fix(to, [Key(1060.0, "browDown_L", 0.5, True)])
    assert stale(to) == ["regions", "finetune"]


def test_another_take_in_the_folder_is_solved_from_its_beginning(solved, tmp_path):
    to = edited(solved, tmp_path / "v", [Key(1060.0, "jawOpen", 0.9, True)])
    markers, _ = performance(5)
    save_markers(dataclasses.replace(markers, positions=markers.positions[:100]), to / "ingest.json")
    run(to, solved[1])
    assert len(load_curves(to / "finetune.json").frames) == 100
    assert load_curves(to / "finetune.json").of("jawOpen")[59] == 0.9


def test_a_stage_file_with_frames_too_few_is_named(solved, tmp_path):
    to = edited(solved, tmp_path / "v")
    jaw = load_curves(to / "jaw.json")
    save_curves(dataclasses.replace(jaw, frames=jaw.frames[:50], values=jaw.values[:50]), to / "jaw.json")
    with pytest.raises(InputError, match=r"jaw\.json has 50 frames, and the take has 110"):
        run(to, solved[1])


def test_a_take_reads_the_same_from_its_numbers_as_from_its_json(tmp_path):
    positions = performance()[0].positions
    positions[3:9, 5] = torch.nan
    take = Markers(NAMES, positions, 120.0, 1000.4, "01:02:03:04", 0.2)
    save_take(take, tmp_path, "clean")
    quick, read = load_take(tmp_path, "clean"), load_markers(tmp_path / "clean.json")
    assert quick.frames == read.frames
    assert torch.equal(quick.positions.nan_to_num(9e9), read.positions.nan_to_num(9e9))
    for name in ("names", "fps", "timecode", "timeline_fps"):
        assert getattr(quick, name) == getattr(read, name)
    changed = dataclasses.replace(read, positions=read.positions + 1)
    save_markers(changed, tmp_path / "clean.json")  # by hand: the numbers beside it no longer count
    assert torch.equal(load_take(tmp_path, "clean").positions[0], changed.positions[0])


def test_the_solvers_look_at_a_take_is_kept_and_not_taken_for_another_takes(solver, tmp_path):
    save_markers(performance()[0], tmp_path / "ingest.json")
    run(tmp_path, solver)
    said = json.loads((tmp_path / "quality.json").read_text())
    assert "the day that it knows" in said["sentence"]
    markers, _ = performance(5)
    away = torch.randn(48, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.2
    save_markers(dataclasses.replace(markers, positions=markers.positions + away), tmp_path / "ingest.json")
    run(tmp_path, solver)
    assert json.loads((tmp_path / "quality.json").read_text())["of"] != said["of"]


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "sfumato.edits/2", "keys": []}'])
def test_a_damaged_file_of_keys_is_named(tmp_path, text):
    (tmp_path / "edits.json").write_text(text)
    with pytest.raises(InputError, match=r"edits\.json is not sfumato\.edits/1"):
        read_edits(tmp_path)
