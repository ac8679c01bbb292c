"""`bench face` on a small head of our own, in a folder laid out like the real one: what it measures, and what it says.

Frames, faces and rounds are few, so numbers say nothing here; that the real ones are kept is the bench's own work.
"""

import csv
import json
from functools import partial

import numpy as np
import pytest
import torch

from sfumato.errors import InputError
from sfumato.face.demo_rig import demo_rig
from sfumato_plugins.benches import face, face_learning, face_methods, face_targets
from sfumato_plugins.cli import main

CONTROLS = (
    *("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmile_L", "mouthSmile_R", "mouthStretch_L"),
    *("mouthStretch_R", "cheekSquint_L", "cheekSquint_R", "browDown_L", "browDown_R", "browInnerUp_L", "browInnerUp_R"),
)
FEWER = (
    *((face, "SEEDS", (0,)), (face, "QUICK_FRAMES", 16), (face, "LONG", 24)),
    *((face_methods, "EPOCHS", 1), (face_learning, "FEW", 12), (face_learning, "TAKE", 30)),
    *((face_learning, "CHUNKS", ((0, 10), (10, 30))), (face_methods, "learn", partial(face_methods.learn, faces=120))),
)


def arkit(name):
    return "browInnerUp" if name.startswith("browInnerUp") else name.replace("_L", "Left").replace("_R", "Right")


def performance(frames, seed):
    """(F, K) smooth controls, each between 0 and about a half; both halves of browInnerUp are one in a recording."""
    draw = torch.Generator().manual_seed(seed)
    phase, speed = (torch.rand(len(CONTROLS), generator=draw, dtype=torch.float64) for _ in range(2))
    time = torch.arange(frames, dtype=torch.float64)[:, None]
    values = 0.5 * torch.sin(0.1 * (1 + speed) * time + 6 * phase).clamp(min=0)
    values[:, CONTROLS.index("browInnerUp_R")] = values[:, CONTROLS.index("browInnerUp_L")]
    return values


def write_rig(folder):
    """The linear part of our head, its brow cut in two, as ict_rig.npz and vertex_indices.json hold theirs."""
    rig = demo_rig(40, 44)
    left = (rig.neutral[:, :1] > 0).double()
    deltas = {name: rig.deltas[rig.controls.index(arkit(name))] for name in CONTROLS}
    deltas["browInnerUp_L"] = deltas["browInnerUp_L"] * left
    deltas["browInnerUp_R"] = deltas["browInnerUp_R"] * (1 - left)
    skin = rig.neutral.amin(1).argsort()[:20]
    modes = torch.sin(rig.neutral[None] * torch.linspace(0.1, 0.4, 20, dtype=torch.float64)[:, None, None]) * 0.05
    quads = torch.cat([rig.faces, torch.full((len(rig.faces), 1), -1)], 1)
    np.savez(
        folder / "ict_rig.npz",
        expr_names=np.array(CONTROLS),
        neutral=rig.neutral.numpy(),
        expr=torch.stack(list(deltas.values())).numpy(),
        identity20=modes.numpy(),
        quads=quads.numpy(),
    )
    mouth = rig.regions["mouth"].tolist()
    said = {
        "expressions": CONTROLS,
        "idx_to_fitting_verts": list(range(len(rig.neutral))),
        "idx_to_landmark_verts": (mouth * 2)[:68],
        "idx_to_rigid_verts": [*rig.regions["stable"].tolist(), *skin.tolist()],
    }
    (folder / "vertex_indices.json").write_text(json.dumps(said))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("face")
    for name in ("ict_facekit", "livelink_miller", "facegood_solves"):
        (folder / name).mkdir()
    write_rig(folder / "ict_facekit")
    names = sorted({arkit(name) for name in CONTROLS})
    rows = [[dict(zip(map(arkit, CONTROLS), row, strict=True))[name] for name in names]
            for row in performance(16, 1).tolist()]  # fmt: skip
    with open(folder / "livelink_miller" / "MySlate_3.csv", "w", newline="") as file:
        csv.writer(file).writerows([[name[0].upper() + name[1:] for name in names], *rows])
    takes = {f"arkit_1114_{i}": performance(40, 2 + i).numpy() for i in range(2)}
    np.savez(
        folder / "facegood_solves" / "facegood_solves.npz",
        arkit_names=np.array([arkit(name) for name in CONTROLS]),
        fps=30.0,
        **takes,
    )
    return folder


@pytest.fixture(scope="module")
def document(data):
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in FEWER:
            patch.setattr(module, name, value)
        return face.run(str(data))


def test_the_document_has_the_form_of_all_benches(document):
    assert {"bench", "version", "device", "settings", "rows", "means", "targets"} <= set(document)
    assert document["settings"]["markers"] == 140
    assert all(set(t) == {"name", "value", "bound", "met"} for t in document["targets"])
    assert all(t["met"] == (t["value"] <= t["bound"]) for t in document["targets"])
    assert json.loads(json.dumps(document))["targets"] == document["targets"]


def test_every_condition_is_solved_by_every_method_and_all_errors_are_numbers(document):
    solved = [row for row in document["rows"] if "mesh" in row]
    cases = {row["case"] for row in solved}
    for condition in ("clean", "noise", "drift", "raw", "calibrated", "occluded"):
        ways = {row["method"] for row in solved if row["case"] == f"Miller, {condition}"}
        assert ways == {"least squares", "least squares + drift", "least squares + drift + offsets",
                        "whole clip + drift", "network, positions", "network, graph", "jaw first, live", "jaw first",
                        "jaw first, fine-tuned", "sfumato, whole clip"}  # fmt: skip
    assert {"rig that turns", "FACEGOOD 1, drift", "FACEGOOD 1, raw", "FACEGOOD 1, occluded"} <= cases
    for row in solved:
        assert all(np.isfinite(row[name]) for name in ("weights", "mesh", "p95", "jitter", "jaw", "ms"))


def test_what_nothing_was_done_to_comes_back_and_noise_and_drift_cost_what_they_should(document):
    mesh = {(row["case"], row["method"]): row["mesh"] for row in document["rows"] if "mesh" in row}
    ours, plain = "sfumato, whole clip", "least squares"
    assert mesh["Miller, clean", ours] < 0.02
    assert mesh["Miller, clean", ours] < mesh["Miller, noise", ours] < mesh["Miller, raw", ours]
    assert mesh["Miller, drift", ours] < mesh["Miller, drift", plain]


def test_every_promise_has_a_target(document):
    names = " | ".join(target["name"] for target in document["targets"])
    for promise in ("calibrated: weights", "calibrated: mesh", "calibrated: p95", "calibrated: jitter", "raw: weights",
                    "drift: jawOpen", "occluded", "rig that turns: weights", "rig that turns: markers", "Jacobian",
                    "200 frames over all", "another actor", "live: mesh over", "whole takes: mesh over", "an edit",
                    "live: ms a frame", "1,000 frames: seconds", "chunks", "contact lost", "bit-equal"):  # fmt: skip
        assert promise in names, promise
    exact = {t["name"]: t["met"] for t in document["targets"]}
    assert exact["Jacobian against differences"]
    assert exact["chunks: weights apart"]
    assert all(met for name, met in exact.items() if name.endswith(("elsewhere lost", "key lost")))


def test_the_baselines_stand_beside_the_published_runs(document):
    assert len(document["reproduced"]) == 2 * len(face_targets.PUBLISHED)
    assert all(row["within"] == (abs(row["value"] / row["published"] - 1) <= 0.1) for row in document["reproduced"]
               if abs(abs(row["value"] / row["published"] - 1) - 0.1) > 0.01)  # fmt: skip


def test_the_text_has_every_table(document):
    text = face.as_text(document)
    for words in ("Baselines against the published runs", "What each stage buys", "The staged path against the best"):
        assert words in text
    for row in (*document["rows"], *document["targets"]):
        assert row.get("name", row.get("case")) in text
    assert "The learned path does not beat" in text


def test_a_folder_that_lacks_a_file_is_told_which(tmp_path, capsys):
    with pytest.raises(InputError, match=r"ict_rig\.npz"):
        face.run(str(tmp_path))
    assert main(["bench", "face", "--data", str(tmp_path), "--json"]) == 3
    assert "laid out like" in capsys.readouterr().err
