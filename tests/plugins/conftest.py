"""A tiny shot in linear EXR, jobs about it, and the command line as a real process."""

import importlib.util
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
import time

import pytest

SIZE = (48, 64)  # rows, columns


WITHOUT_ENGINE = "needs the engine, and torch is not installed in this Python"


class NeedsEngine(pytest.Module):
    """A file of tests about the engine, in a host's Python."""

    def collect(self):
        pytest.skip(WITHOUT_ENGINE, allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Where torch is missing, as in a host, a file that imports the engine at its top is skipped, and says so."""
    asks = re.search(r"^(import torch|from sfumato[. ])", module_path.read_text(encoding="utf-8"), re.MULTILINE)
    if asks and importlib.util.find_spec("torch") is None:
        return NeedsEngine.from_parent(parent, path=module_path)
    return None


def tiny_plate(frame, rows=SIZE[0], columns=SIZE[1]):
    """(3, H, W): a bright soft disc that moves before a gradient, unclipped."""
    import torch

    y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
    alpha = tiny_alpha(frame, rows, columns)
    front = torch.stack([2.0 + 0 * x, 0.4 + y / rows, 0.2 + 0 * x])
    back = torch.stack([0.1 + 0.3 * x / columns, 0.2 + 0 * x, 0.5 - 0.3 * y / rows])
    noise = 0.01 * torch.rand(3, rows, columns, generator=torch.Generator().manual_seed(frame + 10000))
    return alpha * front + (1 - alpha) * back + noise


def tiny_alpha(frame, rows=SIZE[0], columns=SIZE[1]):
    """(1, H, W), the truth."""
    import torch

    y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
    distance = ((x - columns / 2 - frame % 5) ** 2 + (y - rows / 2) ** 2).sqrt()
    return ((15 - distance) / 6).clamp(0, 1)[None]


def tiny_trimap(frame):
    """(1, H, W): the truth's soft edge is unknown."""
    import torch

    alpha = tiny_alpha(frame)
    return torch.where(alpha >= 1, 1.0, torch.where(alpha <= 0, 0.0, 0.5))


def save(path, pixels, channels=("R", "G", "B"), **more):
    """Write (C, H, W) as EXR or whatever the name says."""
    from sfumato.io import write_image
    from sfumato.plate import Plate, Window

    window = Window(0, 0, pixels.shape[2], pixels.shape[1])
    fields = {"space": None, "data": window, "display": window, **more}
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Plate(pixels.float().contiguous(), channels, **fields))


class TinyShot:
    """Plates and trimaps of a few frames in a folder, and jobs that use them."""

    save = staticmethod(save)
    plate_of = staticmethod(tiny_plate)
    alpha_of = staticmethod(tiny_alpha)
    trimap_of = staticmethod(tiny_trimap)

    def __init__(self, folder):
        self.folder = folder
        self.plate = str(folder / "plate.####.exr")
        self.trimap = str(folder / "trimap.####.exr")
        self.matte = str(folder / "out" / "M.####.exr")

    def write(self, frames):
        for frame in frames:
            self.write_plate(frame)
            self.write_trimap(frame)
        return self

    def write_plate(self, frame, change=0.0):
        pixels = tiny_plate(frame)
        pixels[0, 3, 3] += change
        save(self.folder / f"plate.{frame:04d}.exr", pixels)

    def write_trimap(self, frame):
        save(self.folder / f"trimap.{frame:04d}.exr", tiny_trimap(frame), ("Y",))

    def job(self, frames, **more):
        from sfumato_plugins.frames import parse_frames
        from sfumato_plugins.job import Job

        given = {
            "inputs": {"plate": self.plate, "trimap": self.trimap},
            "outputs": {"matte": self.matte},
            "params": {"quality": "preview", "device": "cpu"},
            "base": str(self.folder),
            **more,
        }
        return Job(tool="matte", frames=parse_frames(frames), **given)

    def output(self, frame):
        return self.folder / "out" / f"M.{frame:04d}.exr"

    def journal(self):
        from sfumato_plugins.ledger import read_journal

        return read_journal(str(self.folder / "out" / "M.journal.jsonl"))

    def listing(self):
        return sorted(path.name for path in (self.folder / "out").iterdir())


@pytest.fixture
def shot(tmp_path):
    """An empty tiny shot; write frames into it."""
    pytest.importorskip("torch", reason=WITHOUT_ENGINE)
    return TinyShot(tmp_path)


class TinyEdit:
    """Plates of a red ball on grass, with what plates hold and models never see, and jobs that edit them."""

    save = staticmethod(save)
    SOURCE, TARGET = "a red ball on grass", "a blue ball on grass"

    def __init__(self, folder, model):
        self.folder, self.model = folder, model
        self.plate, self.mask = str(folder / "plate.####.exr"), str(folder / "mask.####.exr")
        self.edit = str(folder / "out" / "E.####.exr")

    @staticmethod
    def pixels(frame):
        """(3, H, W): unclipped light, light below zero, a hole."""
        import torch

        rows, columns = SIZE
        y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
        ball = (((x - 30 - frame % 3) ** 2 + (y - 24) ** 2).sqrt() < 11).float()
        light = torch.stack([0.2 + 0.6 * ball, 0.3 - 0.2 * ball, 0.15 + 0 * ball])
        light += 0.01 * torch.randn(3, rows, columns, generator=torch.Generator().manual_seed(frame))
        light[:, 1:4, 1:4] = 60.0
        light[0, 10, 50] = -0.3
        light[:, 40, 5] = float("nan")
        return light

    @staticmethod
    def matte(frame):
        """(1, H, W): soft, round the ball."""
        import torch

        rows, columns = SIZE
        y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
        return ((15 - ((x - 30 - frame % 3) ** 2 + (y - 24) ** 2).sqrt()) / 3).clamp(0, 1)[None]

    def write(self, *frames):
        for frame in frames:
            save(self.folder / f"plate.{frame:04d}.exr", self.pixels(frame))
            save(self.folder / f"mask.{frame:04d}.exr", self.matte(frame), ("A",))
        return self

    def job(self, frames="1", tool="edit", **more):
        from sfumato_plugins.frames import parse_frames
        from sfumato_plugins.job import Job

        params = {"source": self.SOURCE, "target": self.TARGET, "model": self.model, "steps": 5, "device": "cpu"}
        given = {
            "inputs": {"plate": self.plate, "mask": self.mask},
            "outputs": {"edit": self.edit},
            "base": str(self.folder),
            **more,
            "params": {**params, **more.get("params", {})},
        }
        return Job(tool=tool, frames=parse_frames(frames), **given)

    def inverting(self, frames="1", **more):
        """The job that makes the records for such an edit."""
        from dataclasses import replace

        outputs = {"record": str(self.folder / "out" / "R.####.safetensors")}
        job = self.job(frames, "invert", **{"outputs": outputs, **more})
        return replace(job, params={name: value for name, value in job.params.items() if name != "target"})

    def words(self, *more, tool="edit", **files):
        """The command line of the same job; a file that is None is left out."""
        out = {"edit": {"out": self.edit}, "invert": {"record": str(self.folder / "R.####.safetensors")}}[tool]
        prompts = {"source": self.SOURCE, **({"target": self.TARGET} if tool == "edit" else {})}
        named = {"plate": self.plate, "mask": self.mask, **prompts, **out, "model": self.model, "steps": 5, **files}
        options = [str(word) for name, value in named.items() if value is not None for word in (f"--{name}", value)]
        return [tool, *options, "--device", "cpu", "--progress", "quiet", *map(str, more)]

    def output(self, frame=1):
        return self.folder / "out" / f"E.{frame:04d}.exr"

    def read(self, frame=1):
        from sfumato.io import read_image

        return read_image(self.output(frame))

    def result(self):
        return json.loads((self.folder / "out" / "E.result.json").read_text())

    def journal(self):
        from sfumato_plugins.ledger import read_journal

        return read_journal(str(self.folder / "out" / "E.journal.jsonl"))


def build_model(folder, **more):
    """Write a diffusion model that takes no time; see tiny_diffusion.py."""
    return runpy.run_path(str(pathlib.Path(__file__).parents[1] / "tiny_diffusion.py"))["build"](folder, **more)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The folder of a diffusion model that takes no time."""
    pytest.importorskip("torch", reason=WITHOUT_ENGINE)
    pytest.importorskip("diffusers", reason="needs diffusers")
    return build_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def another_model(tmp_path):
    """another_model(seed=1) is the folder of one with other weights."""
    return lambda **more: build_model(tmp_path / "another", **more)


@pytest.fixture
def editing(tmp_path, tiny_model):
    """An empty shot to edit; write frames into it."""
    return TinyEdit(tmp_path, tiny_model)


class TinyFace:
    """A coarse head of ours, a short take of it and its truth; what was truly done is known."""

    FRAMES = 24

    def __init__(self, folder):
        from sfumato.face.demo_performance import demo_performance
        from sfumato.face.demo_rig import demo_rig
        from sfumato.face.markers import save_markers
        from sfumato.face.rig_files import save_rig

        self.folder, self.rig = folder, demo_rig(40, 44)
        self.truth, self.markers, _ = demo_performance(self.rig, 3, self.FRAMES)
        save_rig(self.rig, folder / "head.npz")
        save_markers(self.markers, folder / "take.json")

    def __truediv__(self, name):
        return self.folder / name

    def words(self, out, *more, markers=None, rig=None):
        """The command line that solves the take, or another one."""
        files = ["--markers", markers or self / "take.json", "--rig", rig or self / "head.npz", "--out", out]
        return ["face", "solve", *map(str, files), "--progress", "quiet", *map(str, more)]


@pytest.fixture(scope="session")
def head(tmp_path_factory):
    """A tiny face in a folder of its own."""
    pytest.importorskip("torch", reason=WITHOUT_ENGINE)
    return TinyFace(tmp_path_factory.mktemp("face"))


@pytest.fixture(scope="session")
def solved(head, tmp_path_factory):
    """A folder of a take that is solved to the end; never changed by a test."""
    from sfumato_plugins.cli import main

    out = tmp_path_factory.mktemp("solved") / "v001"
    assert main(head.words(out)) == 0
    return out


@pytest.fixture(scope="session")
def command_line():
    """command_line("matte", ...) runs sfumato as a process of its own and gives back the finished process."""

    def call(*words, env=None, **more):
        command = [sys.executable, "-m", "sfumato_plugins.cli", *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **(env or {})}, check=False, timeout=120, **more
        )

    return call


@pytest.fixture
def stand_in(tmp_path):
    """A program that a host takes for the engine's Python; its jobs do what `stand_in.job` tells them."""
    from sfumato_plugins.benches import stand_in

    folder = tmp_path / "stand-in"
    folder.mkdir()
    return stand_in.python_that(str(folder))


@pytest.fixture
def open_engine(tmp_path, stand_in):
    """open_engine() is an Engine on the stand-in, open_engine(python) on another; all are closed in the end."""
    from sfumato_plugins.launch import Engine

    opened = []

    def open_one(python=stand_in, **more):
        opened.append(Engine(python, **{"host": "test", "log_folder": str(tmp_path / "logs"), **more}))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.close()


class Heard(list):
    """Messages a host polled, and when each came, on the monotonic clock."""

    def __init__(self, engine):
        super().__init__()
        self.engine, self.at = engine, []

    def until(self, event, seconds=30, starts="", **like):
        """Poll until a message of that kind comes, with these values and a text that starts so; give it back."""
        end = time.monotonic() + seconds
        while True:
            for message in self.engine.poll():
                self.append(message)
                self.at.append(time.monotonic())
            for message in self:
                same = message["event"] == event and all(message.get(k) == v for k, v in like.items())
                if same and message.get("text", "").startswith(starts):
                    return message
            assert time.monotonic() < end, f"no {event} {like} among {list(self)}"
            time.sleep(0.002)

    def when(self, message):
        return self.at[self.index(message)]


@pytest.fixture
def heard():
    """heard(engine) collects what it says."""
    return Heard
