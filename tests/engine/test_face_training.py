"""A solver learned from a handful of approved frames, and the file it is kept in."""

import dataclasses

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sfumato.errors import InputError, RequestError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.live import Live
from sfumato.face.markers import Markers
from sfumato.face.networks import fit
from sfumato.face.range_of_motion import poses
from sfumato.face.regions import regions
from sfumato.face.rig import NativeRig
from sfumato.face.solver_file import load_solver
from sfumato.face.training import TrainSettings, train_solver
from sfumato.train.hsic import linear, nhsic

CONTROLS = ("jawOpen", "jawLeft", "mouthSmile_L", "mouthSmile_R", "browDown_L", "browDown_R", "noseSneer")
SETTINGS = TrainSettings(samples=1500, repeats=4, epochs=12, actor="Mia", consent="HR-12")
QUICK = TrainSettings(samples=200, repeats=1, epochs=2)


def rig():
    """Forty points on a bowl; each control pushes those around its place one way."""
    draw = torch.Generator().manual_seed(3)
    grid = torch.cartesian_prod(torch.linspace(-5, 5, 5), torch.linspace(-7, 7, 8)).double()
    place = grid + 0.3 * torch.randn(40, 2, generator=draw, dtype=torch.float64)
    neutral = torch.cat([place, 8 - place.square().sum(1, keepdim=True) / 20], 1)
    centre = torch.tensor([[0, -6], [0, -5], [3, -3], [-3, -3], [3, 6], [-3, 6], [0, 1]]).double()
    near = (-(place[None] - centre[:, None]).square().sum(-1) / 8).exp()
    way = torch.tensor(
        [[0, -2, 0.5], [1.5, 0, 0], [0.8, 1, 0], [-0.8, 1, 0], [0, -0.8, 0], [0, -0.8, 0], [0, 0.6, 0.4]]
    )
    return NativeRig(CONTROLS, neutral, torch.tensor([[0, 1, 2]]), near[..., None] * way[:, None].double())


def binding():
    return Binding(
        tuple(f"m{i:02d}" for i in range(40)),
        torch.arange(40)[:, None].repeat(1, 3),
        torch.tensor([[1.0, 0, 0]] * 40, dtype=torch.float64),
    )


def performance(frames, seed, offsets=None):
    """Slow waves of every control, and their markers with 0.3 mm of noise."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(frames, dtype=torch.float64)[:, None] / 30
    wave = (time * (1 + torch.rand(7, generator=draw)) + 6 * torch.rand(7, generator=draw)).sin()
    values = wave.clamp(min=0).double() * 0.8
    noise = torch.randn(frames, 40, 3, generator=draw, dtype=torch.float64) * 0.03
    positions = binding().at(rig(), values) + noise + (0 if offsets is None else offsets)
    curves = Curves(CONTROLS, tuple(1001.0 + i for i in range(frames)), values, 30.0)
    return Markers(binding().names, positions, 30.0, 1001.0), curves


@pytest.fixture(scope="module")
def solver():
    return train_solver(rig(), binding(), [performance(120, 1)], SETTINGS)


def solved(solver, markers):
    sure = markers.seen.double()
    return solver.regions(markers, sure, solver.jaw(markers, sure))


def off(curves, truth):
    return (curves.values - truth.values).square().mean().sqrt()


def test_layers_that_ask_no_other_learn_as_much(solver):
    by_hsic = train_solver(rig(), binding(), [performance(120, 1)], dataclasses.replace(SETTINGS, method="hsic"))
    markers, truth = performance(200, 9)
    assert off(solved(by_hsic, markers), truth) < 1.25 * off(solved(solver, markers), truth)
    with pytest.raises(RequestError, match="there is no method forest"):
        dataclasses.replace(SETTINGS, method="forest")


def test_answers_told_to_ignore_the_day_tell_it_less():
    draw = torch.Generator().manual_seed(4)
    days = torch.eye(3).repeat(200, 1)
    wanted = torch.rand(600, 2, generator=draw)
    features = torch.cat(
        [wanted + 0.1 * torch.randn(600, 2, generator=draw), days @ torch.rand(3, 4, generator=draw)], 1
    )
    target = wanted + days[:, :2] * 0.3  # whoever solved it was not the same on each day

    def told(loosen):
        net = fit(features, target, None, 0.0, torch.ones(600), 12, 0, days=days, loosen=loosen)
        return nhsic(linear(net(features)), linear(days), 1e-2)

    assert told(1.0) < 0.5 * told(0.0)


def test_a_take_that_it_has_not_seen_is_solved(solver):
    markers, truth = performance(200, 9)
    curves = solved(solver, markers)
    assert curves.names == CONTROLS
    assert off(curves, truth) < 0.25 * truth.values.square().mean().sqrt()


def test_the_jaw_it_is_given_is_the_jaw_that_comes_out_and_the_others_follow_it(solver):
    markers, _ = performance(30, 9)
    sure = markers.seen.double()
    jaw = solver.jaw(markers, sure)
    assert jaw.names == ("jawOpen", "jawLeft")
    edited = dataclasses.replace(jaw, values=jaw.values + 0.2, locked=frozenset({(1004.0, "jawOpen")}))
    given = solver.regions(markers, sure, edited)
    assert torch.equal(given.of("jawOpen"), edited.of("jawOpen"))
    assert given.locked == edited.locked
    assert not torch.equal(given.of("mouthSmile_L"), solver.regions(markers, sure, jaw).of("mouthSmile_L"))


def test_the_same_seed_learns_the_same_and_another_does_not():
    markers, _ = performance(20, 9)
    first, again, other = (
        train_solver(rig(), binding(), [performance(60, 1)], dataclasses.replace(QUICK, seed=seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(solved(again, markers).values, solved(first, markers).values)
    assert not torch.equal(solved(other, markers).values, solved(first, markers).values)


def test_it_comes_back_from_its_file_and_says_whose_it_is(solver, tmp_path):
    solver.save(tmp_path / "mia.safetensors")
    back = load_solver(tmp_path / "mia.safetensors")
    markers, _ = performance(20, 9)
    assert torch.equal(solved(back, markers).values, solved(solver, markers).values)
    assert (back.actor, back.consent, back.date) == ("Mia", "HR-12", solver.date)
    assert back.learned_from == solver.learned_from
    assert back.learned_from[0].startswith("120 frames blake2b:")
    assert torch.equal(back.weight, solver.weight)
    with safe_open(str(tmp_path / "mia.safetensors"), "pt") as file:
        assert file.metadata()["schema"] == "sfumato.solver/1"


def test_markers_that_are_unseen_or_missing_do_not_stop_it(solver):
    markers, truth = performance(60, 9)
    positions = markers.positions.clone()
    positions[:, ::6] = torch.nan
    curves = solved(solver, dataclasses.replace(markers, positions=positions))
    much = truth.values.square().mean().sqrt()
    assert off(curves, truth) < 0.35 * much
    assert off(solved(solver, markers.only(markers.names[5:])), truth) < 0.5 * much
    with pytest.raises(RequestError, match="trained on 40 markers, and 25 of them are not in the take"):
        solved(solver, markers.only(markers.names[25:]))


def test_a_new_day_is_the_old_solver_on_another_neutral(solver):
    offsets = torch.randn(40, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 0.4
    markers, truth = performance(120, 9, offsets)
    raw = off(solved(solver, markers), truth)
    neutral = binding().at(rig(), torch.zeros(7, dtype=torch.float64)) + offsets
    assert off(solved(solver.on(neutral), markers), truth) < 0.7 * raw


def test_frame_by_frame_is_the_same_as_a_take_without_looking_ahead(solver):
    markers, _ = performance(12, 9)
    positions = markers.positions.clone()
    positions[3, 4:9] = torch.nan
    markers = dataclasses.replace(markers, positions=positions)
    whole = solved(dataclasses.replace(solver, ahead=0.0), markers).values
    live = Live(solver)
    frames = torch.stack([torch.from_numpy(live(frame.numpy())) for frame in markers.positions])
    assert (frames - whole).abs().max() < 1e-5


def test_controls_are_grouped_by_what_they_are_called():
    found = regions(rig())
    assert found["jaw"] == ("jawOpen", "jawLeft")
    assert found["brow"] == ("browDown_L", "browDown_R")
    assert found["cheek"] == ("noseSneer",)


def test_a_rig_without_a_jaw_is_learned_in_one_go():
    names = ("lipUp", "lipDown", *CONTROLS[2:])
    bare = dataclasses.replace(rig(), controls=names)
    markers, curves = performance(60, 1)
    found = train_solver(bare, binding(), [(markers, dataclasses.replace(curves, names=names))], QUICK)
    assert found.first is None
    assert solved(found, markers).names == names


def test_made_up_faces_stay_within_the_limits():
    draw = torch.Generator().manual_seed(0)
    found = poses(rig(), performance(30, 2)[1].values, 200, draw)
    assert found.shape == (200, 7)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.std(0).min() > 0.05


def test_what_cannot_be_learned_from_is_named(tmp_path):
    markers, curves = performance(20, 1)
    elsewhere = dataclasses.replace(curves, frames=tuple(f + 500 for f in curves.frames))
    with pytest.raises(RequestError, match="none of the 1 approved takes has a frame with both"):
        train_solver(rig(), binding(), [(markers, elsewhere)], SETTINGS)
    with pytest.raises(RequestError, match="nothing but zeros"):
        train_solver(rig(), binding(), [(markers, dataclasses.replace(curves, values=curves.values * 0))], SETTINGS)
    with pytest.raises(InputError, match="is not there"):
        load_solver(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(InputError, match="no safetensors file"):
        load_solver(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(1)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(InputError, match="no facial solver"):
        load_solver(tmp_path / "other.safetensors")
