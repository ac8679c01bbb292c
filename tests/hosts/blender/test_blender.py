"""A real host in the loop: Blender's own process drives the engine by our client, and moves a real mesh by our curves.

    SFUMATO_BLENDER_PYTHON=.../python python -m pytest -m blender tests/hosts/blender

Any Python with bpy will do (`pip install bpy==4.5.*` into a Python 3.11 of its own, about 1 GB). Blender is GPL: it is
started as a program, never imported by us, and nothing of ours needs it.
"""

import json
import math
import os
import pathlib
import subprocess

import pytest

pytestmark = pytest.mark.blender
DRIVE = pathlib.Path(__file__).with_name("drive.py")


@pytest.fixture(scope="module")
def blender():
    """The Python named by SFUMATO_BLENDER_PYTHON, if bpy is in it."""
    python = os.environ.get("SFUMATO_BLENDER_PYTHON")
    if not python:
        pytest.skip("no Blender: SFUMATO_BLENDER_PYTHON names no Python with bpy in it")
    found = subprocess.run([python, "-c", "import bpy"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"no Blender: {python} cannot import bpy: {found.stderr.strip().splitlines()[-1]}")
    return python


def driven(blender, what, folder, **environ):
    """The JSON object that drive.py ends with."""
    words = [blender, str(DRIVE), what, str(folder)]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **environ}, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_blender_has_a_matte_made_and_reads_it(blender, engine, tmp_path):
    from sfumato_plugins import site_report

    for name, pixel in (("plate", site_report._plate), ("trimap", site_report._trimap)):
        site_report._write_png(str(tmp_path / f"{name}.0001.png"), pixel)
    job = {
        "schema": "sfumato.job/1",
        "tool": "matte",
        "frames": "1",
        "inputs": {name: f"{name}.####.png" for name in ("plate", "trimap")},
        "outputs": {"matte": "matte.####.exr"},
        "params": {"quality": "preview", "device": "cpu", "layers": []},  # with layers, Blender has it composited
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    said = driven(blender, "matte", tmp_path, SFUMATO_PYTHON=engine)
    print(f"Blender {said['blender']}, Python {said['python']}: {said['seconds']:.1f} s from start to a picture")
    assert said["ended"]["event"] == "done"
    assert {"hello", "accepted", "progress", "frame", "done"} <= set(said["events"])
    assert said["size"] == [64, 64]
    assert said["middle"][3] == 1.0
    assert said["corner"] == [0, 0, 0, 0]
    assert said["torch"] is False


@pytest.mark.parametrize(("count", "frames"), [(3, [1001, 1002, 1004.5, 1010]), (52, range(1001, 1501))])
def test_curves_move_a_real_mesh_as_they_say(blender, tmp_path, count, frames):
    from sfumato_plugins.curves import Curves

    names = tuple(f"shape {i}" for i in range(count))
    rows = tuple(tuple(math.sin(0.1 * f + i) * (1.5 if i == 1 else 0.5) for i in range(count)) for f in frames)
    Curves(24.0, tuple(map(float, frames)), names, rows).save(str(tmp_path / "take.json"))
    said = driven(blender, "curves", tmp_path)
    print(f"{count} curves of {said['keys']} keys in {said['seconds']:.3f} s; worst {max(said['errors'].values()):.2g}")
    assert said["curves"] == count
    assert len(said["errors"]) == 8
    assert max(said["errors"].values()) < 1e-6
