"""The head held still, the take cleaned, the clip solved, in stages with files between them that follow an edit."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from sfumato.errors import InputError
from sfumato.face.binding import Binding
from sfumato.face.clean import clean
from sfumato.face.clip import solve_clip
from sfumato.face.clip_settings import ClipSettings, Prior
from sfumato.face.curves import Curves, load_curves, save_curves
from sfumato.face.markers import Markers, load_markers, save_markers
from sfumato.face.quality import look
from sfumato.face.rig import NativeRig, rotation
from sfumato.face.stabilise import stabilise
from sfumato.face.stages import run_stage
from sfumato.face.stale import STAGES, stale
from sfumato.face.training import TrainSettings, train_solver

CONTROLS = ("jawOpen", "jawLeft", "mouthSmile_L", "mouthSmile_R", "browDown_L", "browDown_R")
NAMES = tuple(f"m{i:02d}" for i in range(48))
SETTINGS = ClipSettings(rounds=8)


def rig():
    """A bowl of 48 points: 40 that controls push about, 8 at the temples that none does."""
    draw = torch.Generator().manual_seed(3)
    grid = torch.cartesian_prod(torch.linspace(-5, 5, 5), torch.linspace(-7, 7, 8)).double()
    place = grid + 0.3 * torch.randn(40, 2, generator=draw, dtype=torch.float64)
    rim = torch.tensor([[x, y] for x in (-11.0, 11.0) for y in (9.0, 11.0, 13.0, 15.0)]).double()
    place = torch.cat([place, rim])
    neutral = torch.cat([place, 8 - place.square().sum(1, keepdim=True) / 20], 1)
    centre = torch.tensor([[0, -6], [0, -5], [3, -3], [-3, -3], [3, 6], [-3, 6]]).double()
    near = (-(place[None] - centre[:, None]).square().sum(-1) / 8).exp()
    way = torch.tensor([[0, -2, 0.5], [1.5, 0, 0], [0.8, 1, 0], [-0.8, 1, 0], [0, -0.8, 0], [0, -0.8, 0]]).double()
    deltas = near[..., None] * way[:, None]
    return NativeRig(CONTROLS, neutral, torch.tensor([[0, 1, 2]]), deltas * (deltas.norm(dim=-1, keepdim=True) > 0.05))


RIG = rig()
BINDING = Binding(NAMES, torch.arange(48)[:, None].repeat(1, 3), torch.tensor([[1.0, 0, 0]] * 48, dtype=torch.float64))
REST = BINDING.at(RIG, torch.zeros(6, dtype=torch.float64))


def performance(frames=120, seed=1, offsets=None, noise=0.02):
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(frames, dtype=torch.float64)[:, None] / 60
    wave = (time * (1 + torch.rand(6, generator=draw)) * 2 + 6 * torch.rand(6, generator=draw)).sin()
    values = wave.clamp(min=0).double() * 0.8
    points = BINDING.at(RIG, values) + torch.randn(frames, 48, 3, generator=draw, dtype=torch.float64) * noise
    points = points + (0 if offsets is None else offsets)
    return Markers(NAMES, points, 60.0, 1001.0), Curves(
        CONTROLS, tuple(1001.0 + i for i in range(frames)), values, 60.0
    )


def nodding(markers):
    """The same with the head moving about, far from the rig."""
    time = torch.arange(len(markers.positions), dtype=torch.float64) / 60
    turn = rotation(torch.stack([0.3 * time.sin(), 0.5 * (1.3 * time).sin(), 0.1 * time.cos()], 1))
    moved = torch.einsum("fij,fmj->fmi", turn, markers.positions) + torch.tensor([10.0, 150.0, -4.0])
    return dataclasses.replace(markers, positions=moved)


def off(values, truth):
    return float((values - truth).square().mean().sqrt())


def test_a_nodding_head_is_held_still():
    markers, _ = performance()
    found = stabilise(nodding(markers), RIG, BINDING)
    assert (found.markers.positions - markers.positions).norm(dim=-1).mean() < 0.05
    assert (torch.linalg.det(found.turn) - 1).abs().max() < 1e-9
    assert found.lost == ()


def test_a_frame_that_shows_three_markers_has_its_neighbours_head():
    markers, _ = performance()
    take = nodding(markers)
    take.positions[7, 3:] = torch.nan
    assert stabilise(take, RIG, BINDING).lost == (1008.0,)
    take.positions[:, 3:] = torch.nan
    with pytest.raises(InputError, match="no frame has 4 markers"):
        stabilise(take, RIG, BINDING)


def test_gaps_are_filled_and_trusted_little():
    markers, _ = performance()
    hidden = markers.positions.clone()
    hidden[30:50, 8] = torch.nan
    found = clean(dataclasses.replace(markers, positions=hidden), REST)
    assert (found.markers.positions[30:50, 8] - markers.positions[30:50, 8]).norm(dim=-1).mean() < 0.3
    assert found.confidence[30:50, 8].max() < 0.1
    assert found.confidence[:, 9].min() == 1.0


def test_swapped_labels_are_put_right_and_a_wild_sample_goes():
    markers, _ = performance()
    wrong = markers.positions.clone()
    wrong[20:26, [10, 11]] = wrong[20:26, [11, 10]]
    wrong[60, 5] += 2.0
    found = clean(dataclasses.replace(markers, positions=wrong), REST)
    assert {frame for frame, _, _ in found.swapped} >= {1020.0 + i for i in range(1, 7)}
    assert (found.markers.positions[20:26] - markers.positions[20:26]).norm(dim=-1).max() < 0.3
    assert bool(found.wild[60, 5])
    assert (found.markers.positions[60, 5] - markers.positions[60, 5]).norm() < 0.3


def test_a_clip_is_solved_to_the_noise_and_its_drift_is_found():
    markers, truth = performance()
    time = torch.arange(120, dtype=torch.float64) / 60
    drift = torch.stack([0.05 * time.sin(), 0.03 * time.cos(), 0.02 * time], 1)
    moved = dataclasses.replace(markers, positions=markers.positions + drift[:, None])
    found = solve_clip(moved, RIG, BINDING, SETTINGS)
    assert off(found.curves.values, truth.values) < 0.03
    assert off(found.curves.values, truth.values) < 0.1 * truth.values.square().mean().sqrt()
    assert (found.rigid[:, 3:] - drift).norm(dim=1).mean() < 0.5 * drift.norm(dim=1).mean()
    assert ((found.curves.values >= 0) & (found.curves.values <= 1)).all()


def test_a_locked_key_keeps_its_bits():
    markers, truth = performance()
    locked = dataclasses.replace(truth, locked=frozenset({(1050.0, "jawOpen")}))
    locked.values[49, 0] = 0.123456789012345
    found = solve_clip(markers, RIG, BINDING, SETTINGS, start=locked)
    assert found.curves.of("jawOpen")[49] == 0.123456789012345
    assert found.curves.locked == locked.locked


def test_unseen_markers_and_a_prior_meet_halfway():
    markers, truth = performance()
    gone = markers.positions.clone()
    gone[40:60] = torch.nan
    take = dataclasses.replace(markers, positions=gone)
    weight = torch.full_like(truth.values, 1e5)
    found = solve_clip(take, RIG, BINDING, SETTINGS, start=truth, prior=Prior(truth.values, weight))
    assert off(found.curves.values[40:60], truth.values[40:60]) < 0.05
    assert found.residual[45].isnan().all()


@pytest.fixture
def folder(tmp_path):
    markers, _ = performance()
    save_markers(nodding(markers), tmp_path / "ingest.json")
    return tmp_path


def run(folder, solver=None):
    done = []
    for stage in STAGES:
        if stage in stale(folder):
            run_stage(folder, stage, RIG, BINDING, solver, SETTINGS)
            done.append(stage)
    return done


def edit(folder, *keys):
    (folder / "edits.json").write_text(json.dumps({"schema": "sfumato.edits/1", "keys": keys}))


def test_the_stages_run_once_each_and_leave_their_files(folder):
    assert stale(folder) == list(STAGES)
    assert run(folder) == list(STAGES)
    assert run(folder) == []
    _, truth = performance()
    assert off(load_curves(folder / "finetune.json").values, truth.values) < 0.04
    assert load_curves(folder / "jaw.json").names == ("jawOpen", "jawLeft")
    kept = load_file(folder / "finetune.safetensors")
    assert {"residual", "weight", "rigid", "offsets"} <= set(kept)
    assert kept["residual"].shape == (120, 48)


def test_a_key_of_the_jaw_is_kept_and_the_brows_do_not_move_a_bit(folder):
    run(folder)
    before = load_curves(folder / "finetune.json")
    edit(folder, [1060.0, "jawOpen", 0.9, True])
    assert stale(folder) == ["jaw", "regions", "finetune"]
    assert run(folder) == ["jaw", "regions", "finetune"]
    after = load_curves(folder / "finetune.json")
    assert after.of("jawOpen")[59] == 0.9
    assert after.locked == {(1060.0, "jawOpen")}
    for name in ("browDown_L", "browDown_R"):
        assert torch.equal(after.of(name), before.of(name))
    for name in CONTROLS:
        assert torch.equal(after.of(name)[:20], before.of(name)[:20])
    assert not torch.equal(after.of("jawOpen")[50:70], before.of("jawOpen")[50:70])


def test_a_file_that_a_person_changed_makes_what_follows_stale(folder):
    run(folder)
    jaw = load_curves(folder / "jaw.json")
    save_curves(dataclasses.replace(jaw, values=jaw.values * 0.5), folder / "jaw.json")
    assert stale(folder) == ["regions", "finetune"]
    save_markers(load_markers(folder / "clean.json"), folder / "clean.json")
    assert stale(folder) == ["regions", "finetune"]


def test_a_stage_without_what_it_reads_says_so(tmp_path):
    with pytest.raises(InputError, match=r"clean needs it\n.*run the stages before it first"):
        run_stage(tmp_path, "clean", RIG, BINDING)


@pytest.fixture(scope="module")
def solver():
    takes = [performance(240, 11)]
    return train_solver(RIG, BINDING, takes, TrainSettings(samples=1500, repeats=3, epochs=12))


def test_a_trained_solver_goes_through_the_same_stages(folder, solver):
    run(folder, solver)
    _, truth = performance()
    network, tuned = (load_curves(folder / f"{stage}.json") for stage in ("regions", "finetune"))
    assert off(tuned.values, truth.values) < off(network.values, truth.values)
    assert off(tuned.values, truth.values) < 0.05


def day(seed=6, size=0.15):
    draw = torch.Generator().manual_seed(seed)
    offsets = torch.randn(48, 3, generator=draw, dtype=torch.float64) * size
    return offsets - offsets.mean(0)


@pytest.mark.slow
def test_another_day_is_noticed_and_put_right_by_the_solver_itself():
    solver = train_solver(RIG, BINDING, [performance(600, 11)], TrainSettings(samples=3000, repeats=3))
    markers, truth = performance(600, 21, day())
    sure = torch.ones(600, 48, dtype=torch.float64)
    found = look(solver, markers, sure, RIG, BINDING)
    assert found.another_day
    assert "another day" in found.sentence
    assert (found.offsets - day()).norm(dim=1).mean() < 0.2 * day().norm(dim=1).mean()
    before, after = (s.regions(markers, sure, s.jaw(markers, sure)).values for s in (solver, found.on(solver, BINDING)))
    assert off(after, truth.values) < off(before, truth.values)


def test_the_day_that_the_solver_knows_is_left_alone(solver):
    known, _ = performance(240, 11)
    found = look(solver, known, torch.ones(240, 48, dtype=torch.float64), RIG, BINDING)
    assert not found.another_day
    assert not found.offsets.any()
    assert found.on(solver, BINDING) is solver
    assert "the day that it knows" in found.sentence
