"""A performance on another rig: by names, bit for bit, with limits, and with lips and lids that still meet."""

import dataclasses
import json

import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.contact import find_contacts
from sfumato.face.control_names import key, sources
from sfumato.face.curves import Curves
from sfumato.face.retarget import Gain, load_gains, retarget
from sfumato.face.rig import NativeRig

CONTROLS = ("jawOpen", "mouthClose", "mouthPucker", "mouthPress_L", "browDown_L", "browDown_R")


def mouth(thin=1.0, close=1.0, controls=CONTROLS):
    """A sheet with a slit: two lips joined at the corners, over a jaw that opens by 3 cm times `thin`."""
    across, up = torch.meshgrid(torch.linspace(-6, 6, 25), torch.linspace(-4, 4, 9), indexing="ij")
    rows = torch.stack([across, up, torch.zeros_like(up)], -1).double()
    slit = (rows[:, 4, 0].abs() < 3).nonzero()[:, 0]
    upper, lower = rows.reshape(-1, 3), rows[slit, 4]
    neutral = torch.cat([upper, lower])
    cell = torch.arange(25 * 9).reshape(25, 9)
    below = cell.clone()
    below[slit, 4] = 225 + torch.arange(len(slit))
    quads = [
        (side[i, j], side[i + 1, j], side[i + 1, j + 1], side[i, j + 1])
        for side, span in ((below, range(4)), (cell, range(4, 8)))
        for i in range(24)
        for j in span
    ]
    faces = torch.tensor(
        [[int(a), int(b), int(c)] for q in quads for a, b, c in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))]
    )
    jaw = (neutral[:, 1] < 0) | (torch.arange(len(neutral)) >= 225)
    fade = (1 - (neutral[:, 0] / 3.2).square()).clamp(min=0.0) * jaw
    down = torch.zeros(len(neutral), 3, dtype=torch.float64)
    down[:, 1] = -3 * fade
    lips = (-(neutral[:, 1] / 1.5).square()).exp()[:, None] * torch.tensor([0.0, 0.0, 1.0]).double()
    brow = torch.zeros_like(down)
    brow[:9, 1] = 0.5
    shapes = [down * thin, -down * close, lips, -down * 0.2, brow, brow * 0.5]
    known = dict(zip(CONTROLS, shapes, strict=True))
    return NativeRig(controls, neutral, faces, torch.stack([known[name] for name in controls]))


def talk(frames=120, locked=()):
    """A jaw that opens and is shut again by mouthClose."""
    time = torch.linspace(0, 4 * torch.pi, frames, dtype=torch.float64)
    jaw = (time.sin() * 0.5 + 0.3).clamp(min=0.0)
    shut = torch.where(time.sin() < 0.2, jaw, jaw * 0.3)
    values = torch.stack([jaw, shut, time.cos().clamp(min=0) * 0.2, time * 0, time.sin().abs(), time.cos().abs()], 1)
    return Curves(CONTROLS, tuple(1001.0 + i for i in range(frames)), values, 24.0, frozenset(locked))


def test_names_of_different_houses_mean_the_same_control():
    same = (
        "browDownLeft",
        "browDown_L",
        "BrowDownLeft",
        "rig:browDown_l",
        "face.browDownLeft",
        "left_browDown",
        "browDownL",
    )
    assert {key(name) for name in same} == {("browdown", "l")}
    assert key("mouthRollUpper") == ("mouthrollupper", "")
    assert key("jawLeft") == ("jaw", "l")
    assert sources("browInnerUp", ["browInnerUp_L", "browInnerUp_R"]) == ["browInnerUp_L", "browInnerUp_R"]
    assert sources("browInnerUp_R", ["browInnerUp"]) == ["browInnerUp"]
    assert sources("jawLeft", ["jawOpen", "jawRight"]) == []


def test_the_same_rig_gets_the_same_bits():
    take = talk()
    moved = retarget(take, mouth(), mouth())
    assert torch.equal(moved.curves.values, take.values)
    assert moved.kept.frames == moved.kept.kept
    assert moved.kept.frames["lips"] > 50


def test_controls_of_other_spelling_are_bit_equal_and_the_rest_is_told():
    renamed = ("jawOpen", "MouthClose", "browDownLeft", "browDownRight")
    known = mouth()
    target = dataclasses.replace(known, controls=(*renamed, "tongueOut", "earsUp"))
    take = talk()
    moved = retarget(take, target)
    for name, theirs in zip(renamed, ("jawOpen", "mouthClose", "browDown_L", "browDown_R"), strict=True):
        assert torch.equal(moved.curves.of(name), take.of(theirs))
    assert moved.unused == ("mouthPucker",)
    assert moved.still == ("tongueOut", "earsUp")
    assert "drive nothing on this rig: mouthPucker" in moved.notes


def test_lips_that_met_meet_on_a_rig_whose_mouth_opens_further():
    take, source, target = talk(), mouth(), mouth(thin=1.4, close=0.9)
    contacts = find_contacts(target)
    open_before = contacts.gaps(target, take.values).amax(1)
    moved = retarget(take, target, source)
    met = find_contacts(source).gaps(source, take.values).amax(1) <= 0.05
    assert (open_before[met] > 0.1).sum() > 20
    assert contacts.gaps(target, moved.curves.values)[met].max() <= 0.051
    assert moved.kept.frames == moved.kept.kept
    assert torch.equal(moved.curves.values[:, 4:], take.values[:, 4:])
    assert ((moved.curves.values >= 0) & (moved.curves.values <= 1)).all()
    untouched = ~moved.kept.changed
    assert torch.equal(moved.curves.values[untouched], take.values[untouched])


def test_contact_does_not_jump_where_it_ends():
    take, source, target = talk(2000), mouth(), mouth(thin=1.4, close=0.9)
    time = torch.linspace(0, 4 * torch.pi, 2000, dtype=torch.float64)
    take.values[:, 1] = take.values[:, 0] * (0.6 + 0.4 * time.cos())
    moved = retarget(take, target, source)
    assert moved.kept.changed.any()
    assert not moved.kept.changed.all()
    step = (moved.curves.values - take.values).diff(dim=0).abs().max()
    assert step < 0.05


def test_a_locked_key_stays_locked_and_is_not_moved_for_contact():
    frame = 1061.0
    take = talk(locked=[(frame, "mouthClose")])
    moved = retarget(take, mouth(thin=1.4, close=0.9), mouth())
    assert moved.curves.locked == take.locked
    assert moved.curves.of("mouthClose")[60] == take.of("mouthClose")[60]
    assert moved.kept.changed[60]


def test_gains_curves_and_limits_from_a_file(tmp_path):
    said = {
        "jawOpen": {"from": "jawOpen", "gain": 2, "offset": 0.1, "upper": 0.6},
        "mouthPucker": {"from": ["browDown_L", "browDown_R"], "curve": [[0, 0], [0.5, 0.1], [1, 1]]},
        "mouthPress_L": {"from": [], "offset": 0.25},
    }
    path = tmp_path / "gains.json"
    path.write_text(json.dumps({"schema": "sfumato.retarget/1", "controls": said}))
    take = talk()
    moved = retarget(take, mouth(), gains=load_gains(path))
    jaw = 2 * take.of("jawOpen") + 0.1
    assert torch.equal(moved.curves.of("jawOpen"), jaw.clamp(0, 0.6))
    assert moved.limited == (("jawOpen", int((jaw > 0.6 + 1e-9).sum())),)
    mean = (take.of("browDown_L") + take.of("browDown_R")) / 2
    bent = torch.where(mean < 0.5, mean * 0.2, 0.1 + (mean - 0.5) * 1.8)
    assert torch.allclose(moved.curves.of("mouthPucker"), bent)
    assert (moved.curves.of("mouthPress_L") == 0.25).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ('{"schema": "sfumato.retarget/1"}', "is not sfumato.retarget/1"),
        ('{"schema": "sfumato.retarget/1", "controls": {"jaw": {"gain": 2}}}', "jaw has fields that are not known"),
        ('{"schema": "sfumato.retarget/1", "controls": {"jaw": {"from": "a", "gain": "x"}}}', "jaw has a value"),
        (
            '{"schema": "sfumato.retarget/1", "controls": {"jaw": {"from": "a", "curve": [[1, 0], [0, 1]]}}}',
            "not go forward",
        ),
    ],
)
def test_a_wrong_map_says_what_is_wrong(tmp_path, text, said):
    (tmp_path / "gains.json").write_text(text)
    with pytest.raises(InputError, match=said) as error:
        load_gains(tmp_path / "gains.json")
    assert error.value.hint


def test_rigs_that_share_nothing_and_maps_that_miss_are_refused():
    stranger = dataclasses.replace(mouth(), controls=tuple(f"ctrl{i}" for i in range(6)))
    with pytest.raises(RequestError, match="none of the 6 controls drives one of the 6"):
        retarget(talk(), stranger)
    with pytest.raises(RequestError, match="drives nose, which this rig does not have"):
        retarget(talk(), mouth(), gains={"nose": Gain(("jawOpen",))})
    with pytest.raises(RequestError, match="drives jawOpen by jaw, which is not in the curves"):
        retarget(talk(), mouth(), gains={"jawOpen": Gain(("jaw",))})


def test_contact_is_found_on_the_real_rig_and_kept_on_a_stretched_one(data):
    from sfumato.face.curves import load_curves
    from sfumato.face.rig_files import load_rig

    source = load_rig(data / "face" / "ict_facekit" / "ict_rig.npz")
    contacts = find_contacts(source)
    assert [contacts.kind.count(kind) for kind in ("lips", "lids left", "lids right")] == [12, 12, 12]
    strong = torch.ones(53, dtype=torch.float64)
    for name, gain in (("jawOpen", 1.3), ("mouthClose", 0.8), ("eyeBlink_L", 0.85)):
        strong[source.controls.index(name)] = gain
    target = dataclasses.replace(source, deltas=source.deltas * strong[:, None, None])
    take = load_curves(data / "face" / "livelink_miller" / "MySlate_3.csv")
    columns = [take.of(sources(name, take.names)[0])[::4] for name in source.controls]
    curves = Curves(source.controls, take.frames[::4], torch.stack(columns, 1), take.fps)
    before = find_contacts(target).gaps(target, curves.values)
    moved = retarget(curves, target, source)
    assert moved.kept.kept == moved.kept.frames
    assert min(moved.kept.frames.values()) > 5
    met = contacts.gaps(source, curves.values) <= 0.05
    assert (before[met] > 0.06).double().mean() > 0.3
    shutting = [i for i, name in enumerate(source.controls) if name.startswith(("mouth", "jawOpen", "eye"))]
    others = [i for i in range(53) if i not in shutting]
    assert torch.equal(moved.curves.values[:, others], curves.values[:, others])
