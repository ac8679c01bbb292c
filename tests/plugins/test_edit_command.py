"""Wrong inputs through the command itself: each has its exit code and a sentence, and no traceback."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

from sfumato_plugins.cli import main


@pytest.fixture
def said(editing, capsys):
    """said(words, ...) runs the command in this process: (exit code, what it said)."""

    def run(*more, tool="edit", **files):
        code = main(editing.words(*more, tool=tool, **files))
        text = capsys.readouterr().err
        assert "Traceback" not in text
        return code, text

    return run


def test_a_missing_model_folder_is_2(editing, said):
    editing.write(1)
    code, text = said(model=editing.folder / "nowhere")
    assert (code, "there is no model folder" in text) == (2, True)


def test_a_wrong_architecture_is_2(editing, said):
    editing.write(1)
    shutil.copytree(editing.model, editing.folder / "other")
    index = {"_class_name": "KandinskyPipeline", "unet": ["diffusers", "Kandinsky3UNet"]}
    (editing.folder / "other" / "model_index.json").write_text(json.dumps(index))
    code, text = said(model=editing.folder / "other")
    assert (code, "KandinskyPipeline with Kandinsky3UNet, an architecture sfumato does not know" in text) == (2, True)


def test_weights_in_pickles_are_2(editing, said):
    editing.write(1)
    shutil.copytree(editing.model, editing.folder / "pickled")
    (weights,) = (editing.folder / "pickled" / "transformer").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    code, text = said(model=editing.folder / "pickled")
    assert (code, "a pickle, which can run anything" in text) == (2, True)


def test_a_plate_without_one_finite_pixel_is_3(editing, said):
    editing.write(1).save(editing.folder / "plate.0001.exr", torch.full((3, 48, 64), float("nan")))
    code, text = said()
    assert (code, "no finite pixel" in text) == (3, True)


def test_a_mask_of_another_size_is_2(editing, said):
    editing.write(1).save(editing.folder / "mask.0001.exr", torch.ones(1, 24, 32), ("A",))
    code, text = said()
    assert (code, "mask.0001.exr is 32 x 24, the plate is 64 x 48" in text) == (2, True)


@pytest.mark.parametrize("which", ["source", "target"])
def test_an_empty_prompt_is_2(editing, said, which):
    editing.write(1)
    code, text = said(**{which: ""})
    assert (code, f"params.{which}: is empty" in text) == (2, True)
    code, text = said(**{which: None})
    assert (code, f"--{which} must be given" in text) == (2, True)


def test_a_missing_plate_is_3(editing, said):
    code, text = said()
    assert (code, "not one file is there" in text) == (3, True)
    editing.write(1)
    code, text = said("--frames", "1-2")
    assert (code, "plate.0002.exr" in text) == (3, True)


def test_a_record_of_another_model_is_2_of_another_prompt_too_and_a_damaged_one_3(editing, said, another_model):
    editing.write(1)
    other = another_model(seed=1)
    record = editing.folder / "R.0001.safetensors"
    assert said(tool="invert", model=other)[0] == 0
    code, text = said(record=record)
    assert code == 2
    assert "the inversion record does not fit: model: " in text
    assert said("--force", tool="invert")[0] == 0
    code, text = said(record=record, source="a green box on sand")
    assert (code, "another source prompt" in text) == (2, True)
    record.write_bytes(record.read_bytes()[:-9])
    code, text = said(record=record)
    assert (code, "inversion record" in text) == (3, True)
    assert not (editing.folder / "out").exists() or not list((editing.folder / "out").glob("*.exr"))


def test_a_licence_that_excludes_commercial_work_is_refused_where_the_site_says_so(editing, said, monkeypatch):
    editing.write(1)
    shutil.copytree(editing.model, editing.folder / "nc")
    (editing.folder / "nc" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    site = editing.folder / "site.toml"
    site.write_text("require_commercial = true\n")
    monkeypatch.setenv("SFUMATO_SITE", str(site))
    code, text = said(model=editing.folder / "nc")
    assert code == 2
    assert "the licence of nc is cc-by-nc-4.0, which excludes commercial work" in text
    assert said()[0] == 0, "apache-2.0"


def test_an_installation_without_what_models_are_made_of_says_what_to_install(editing, said, monkeypatch):
    from sfumato_plugins.editing import model

    monkeypatch.setattr(model, "PACKAGES", ("diffusers", "a_package_nobody_has"))
    editing.write(1)
    code, text = said()
    assert (code, "has no a_package_nobody_has" in text, "sfumato[diffusion]" in text) == (2, True, True)


def test_checking_a_job_imports_no_torch_and_finds_what_is_wrong_with_a_model(editing):
    editing.write(1).job().save(str(editing.folder / "job.json"))
    code = f"""
import sys
from sfumato_plugins.cli import main
code = main(["check", {str(editing.folder / "job.json")!r}])
sys.exit(code or bool({{"torch", "diffusers"}} & set(sys.modules)) * 50)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_whole_command_as_a_process_of_its_own(editing, command_line):
    editing.write(1)
    done = command_line(*editing.words("--json"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["complete"] is True
    stats = document["frames"][0]["stats"]
    assert stats["calls"] > 5
    assert stats["recon_digest"] == stats["replay_digest"]
