"""Host tests run without the engine and without a host; fakes/ and parsers/ beside this file are theirs."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE))  # for `from fakes import strict`; nothing here is called nuke or maya
PLUGINS = str(HERE.parents[1] / "plugins")
if PLUGINS not in sys.path:
    sys.path.append(PLUGINS)


@pytest.fixture(scope="session")
def engine():
    """The path of a Python with the engine in it: $SFUMATO_PYTHON, or the one that runs the tests."""
    for python in (os.environ.get("SFUMATO_PYTHON"), sys.executable):
        code = "import torch, OpenImageIO, sfumato, sfumato_plugins.cli"
        if python and subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("no engine: neither SFUMATO_PYTHON nor this Python has torch, OpenImageIO and sfumato")


@pytest.fixture
def nuke_machine(monkeypatch, tmp_path):
    """A user of their own on a machine of their own, with the plug-in on the path: settings, logs, temporary folder."""
    monkeypatch.syspath_prepend(str(HERE.parents[1] / "nuke"))
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "sfumato_site.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("OCIO", raising=False)
    (tmp_path / "sfumato_site.toml").write_text(f'temporary = "{tmp_path.as_posix()}"\ndevice = "cpu"\n')


@pytest.fixture(scope="session")
def tiny_shot(engine, tmp_path_factory):
    """A folder with plate, trimap, clean and truth, frames 1001-1012 of 160 x 90, drawn by the engine."""
    folder = tmp_path_factory.mktemp("tiny_shot")
    code = "import sys; from sfumato.demo.matte import make_shot; make_shot(sys.argv[1], 12, (160, 90))"
    subprocess.run([engine, "-c", code, str(folder)], check=True)
    return folder


@pytest.fixture(scope="session")
def tiny_model(engine, tmp_path_factory):
    """The folder of a diffusion model that takes no time, written by the engine."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    done = subprocess.run(
        [engine, str(HERE.parent / "tiny_diffusion.py"), str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("the engine has no diffusers: pip install diffusers transformers")
    return folder
