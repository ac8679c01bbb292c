"""A rig that another program evaluates: its slopes by differences, and learned as shapes that are checked."""

import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.binding import Binding, jacobian
from sfumato.face.demo_rig import demo_rig
from sfumato.face.differences import OutsideRig
from sfumato.face.rig import Hinge, NativeRig
from sfumato.face.surrogate import learn_rig

CONTROLS = ("jawOpen", "jawLeft", "mouthClose", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft")


def small():
    """The demo head's rig, seven of its controls, on the vertices under its markers."""
    whole = demo_rig()
    used, corners = whole.markers.corners.unique(return_inverse=True)
    rows = [whole.controls.index(name) for name in CONTROLS]
    jaw = whole.jaw
    moves = [tuple(move for move in way if move[0] in CONTROLS) for way in (jaw.turns, jaw.slides)]
    return NativeRig(
        CONTROLS,
        whole.neutral[used],
        corners,
        whole.deltas[rows][:, used],
        whole.lower[rows],
        whole.upper[rows],
        between=tuple((rows.index(r), v, d[used]) for r, v, d in whole.between if r in rows),
        combinations=tuple((tuple(map(rows.index, r)), d[used]) for r, d in whole.combinations if set(r) <= set(rows)),
        jaw=Hinge(jaw.pivot, jaw.weights[used], *moves),
        markers=Binding(whole.markers.names, corners, whole.markers.weights),
    )


RIG = small()


def outside(evaluate=None, **more):
    known = evaluate or RIG.mesh
    return OutsideRig(
        RIG.controls, RIG.neutral, RIG.faces, RIG.lower, RIG.upper, known, RIG.regions, RIG.markers, **more
    )


def poses(count, seed=3):
    return 0.1 + 0.35 * torch.rand(count, len(RIG.controls), generator=torch.Generator().manual_seed(seed)).double()


def test_slopes_by_differences_are_those_by_derivatives():
    values = poses(3)
    found = jacobian(outside(), RIG.markers, values)
    exact = jacobian(RIG, RIG.markers, values)
    assert ((found - exact).norm() / exact.norm()) < 1e-4


def test_limits_are_never_left_and_poses_are_asked_for_in_batches():
    asked = []

    def evaluate(values):
        asked.append(values.clone())
        return RIG.mesh(values)

    values = torch.stack([RIG.lower, RIG.upper])
    jacobian(outside(evaluate, batch=16), RIG.markers, values)
    every = torch.cat(asked)
    assert ((every >= RIG.lower) & (every <= RIG.upper)).all()
    assert max(map(len, asked)) <= 16


def test_a_rig_that_gives_nonsense_is_named():
    with pytest.raises(InputError, match="the rig gave positions of shape"):
        outside(lambda values: RIG.mesh(values)[:, :5]).mesh(poses(1))
    with pytest.raises(InputError, match=r"no finite mesh at jawOpen 0\.\d\d"):
        outside(lambda values: RIG.mesh(values) / 0).mesh(poses(1))


def test_a_rig_with_a_jaw_hinge_and_correctives_is_learned_to_a_fiftieth_of_a_millimetre():
    found = learn_rig(outside(), poses(20))
    assert found.mean * 10 < 0.02
    new = poses(30, 9)
    off = (found.rig.mesh(new) - RIG.mesh(new)).norm(dim=-1)
    plain = (RIG.neutral + torch.einsum("nk,kvc->nvc", new, found.rig.deltas) - RIG.mesh(new)).norm(dim=-1)
    assert off.mean() < 0.3 * plain.mean()
    assert found.asked < 600
    assert len(found.rig.combinations) >= len(RIG.combinations) > 0


def test_a_rig_that_shapes_and_pairs_cannot_follow_is_refused():
    def wild(values):
        return RIG.mesh(values) + (values.sum(1) * 20).sin()[:, None, None]

    with pytest.raises(RequestError, match=r"the learned rig is .* mm off on average"):
        learn_rig(outside(wild), poses(20))
