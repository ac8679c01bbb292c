"""How far a fine-tune believes networks: as far as the take's own markers bear them out."""

import torch

from sfumato.face.belief import belief, errors
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.markers import Markers
from sfumato.face.rig import NativeRig
from sfumato.face.training import TrainSettings, train_solver

CONTROLS = ("jawOpen", "mouthSmile_L", "mouthSmile_R", "browDown")
OFF = 0.2  # of a control, for the whole take


def rig():
    """Forty points on a bowl; each control pushes those around its place one way."""
    place = torch.cartesian_prod(torch.linspace(-5, 5, 5), torch.linspace(-7, 7, 8)).double()
    neutral = torch.cat([place, 8 - place.square().sum(1, keepdim=True) / 20], 1)
    centre = torch.tensor([[0, -6], [3, -2], [-3, -2], [0, 6]]).double()
    near = (-(place[None] - centre[:, None]).square().sum(-1) / 8).exp()
    way = torch.tensor([[0, -2, 0.5], [0.8, 1, 0], [-0.8, 1, 0], [0, -1, 0.2]]).double()
    return NativeRig(CONTROLS, neutral, torch.tensor([[0, 1, 2]]), near[..., None] * way[:, None])


def binding():
    corners = torch.arange(40)[:, None].repeat(1, 3)
    return Binding(tuple(f"m{i:02d}" for i in range(40)), corners, torch.tensor([[1.0, 0, 0]] * 40).double())


def performance(frames, seed):
    """Slow waves of every control, and their markers with 0.3 mm of noise."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(frames, dtype=torch.float64)[:, None] / 30
    values = (time * (1 + torch.rand(4, generator=draw)) + 6 * torch.rand(4, generator=draw)).sin().clamp(min=0) * 0.7
    noise = torch.randn(frames, 40, 3, generator=draw, dtype=torch.float64) * 0.03
    curves = Curves(CONTROLS, tuple(1001.0 + i for i in range(frames)), values.double(), 30.0)
    return Markers(binding().names, binding().at(rig(), curves.values) + noise, 30.0, 1001.0), curves


def said(truth, control=None):
    """Curves that are right but for one control."""
    values = truth.values.clone()
    if control is not None:
        values[:, truth.names.index(control)] += OFF
    return Curves(truth.names, truth.frames, values, truth.fps)


def test_an_error_is_found_in_the_control_that_has_it_and_noise_is_no_error():
    markers, truth = performance(120, 4)
    sure = markers.seen.double()
    right = errors(said(truth), markers, sure, rig(), binding())
    assert right.max() < 0.03
    for control in CONTROLS:
        wrong = errors(said(truth, control), markers, sure, rig(), binding())
        column = truth.names.index(control)
        assert abs(float(wrong[column]) - OFF) < 0.25 * OFF
        assert int(wrong.argmax()) == column


def test_what_the_markers_contradict_counts_for_little():
    solver = train_solver(rig(), binding(), [performance(60, 1)], TrainSettings(samples=200, repeats=1, epochs=2))
    markers, truth = performance(120, 4)
    sure = markers.seen.double()
    right, wrong = (
        belief(solver, said(truth, control), markers, sure, rig(), binding()) for control in (None, "jawOpen")
    )
    assert (right > 0).all()
    assert wrong[0] < 0.1 * right[0]
    assert (right <= solver.weight + 1e-9).all()


def test_markers_that_are_not_there_say_nothing():
    markers, truth = performance(30, 4)
    nothing = torch.zeros(30, 40, dtype=torch.float64)
    assert not errors(said(truth, "jawOpen"), markers, nothing, rig(), binding()).any()
