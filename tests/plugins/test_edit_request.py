"""What may be asked of edit and invert, and in which words it is refused. No network is loaded."""

import json
import pathlib
import re

import pytest

import sfumato_plugins
from sfumato_plugins.check import problems_here
from sfumato_plugins.parameters import Factors, ModelFolder, NumberOr, Prompt, factors

EDIT, INVERT = sfumato_plugins.tool("edit"), sfumato_plugins.tool("invert")


@pytest.fixture
def asked(tmp_path):
    """asked(steps=7) is what is wrong with a job about files that are there."""
    from sfumato_plugins.job import Job

    (tmp_path / "plate.0001.exr").write_bytes(b"-")
    given = {"plate": "plate.####.exr"}

    def problems(tool="edit", output="E.####.exr", frames=(1,), inputs=given, **params):
        words = {"source": "a ball", "target": "a cube"} if tool == "edit" else {"source": "a ball"}
        main = sfumato_plugins.tool(tool).main_output.name
        outputs = {main: str(tmp_path / "out" / output)}
        job = Job(tool, frames, inputs, outputs, {**words, **params}, base=str(tmp_path))
        return [(p.where, p.what, p.code) for p in problems_here(job)]

    return problems


def test_a_job_with_two_prompts_is_fine(asked):
    assert asked() == []
    assert asked("invert", "R.####.safetensors") == []


@pytest.mark.parametrize(
    ("params", "where", "said"),
    [
        ({"source": " "}, "params.source", "is empty"),
        ({"target": ""}, "params.target", "is empty"),
        ({"steps": 3}, "params.steps", "outside 4 to 1000"),
        ({"gamma": "best"}, "params.gamma", "neither a number nor one of auto, optimal"),
        ({"gamma": 1.5}, "params.gamma", "outside"),
        ({"strength": 1.2}, "params.strength", "outside 0 to 1"),
        ({"reweight": "blue"}, "params.reweight", "'blue' should be written like blue=2"),
        ({"attention": "reweight"}, "params.reweight", "no word has a weight"),
        ({"reweight": "blue=2"}, "params.reweight", "attention control only"),
        ({"model": "nowhere"}, "params.model", "there is no model folder"),
    ],
)
def test_what_is_wrong_with_the_parameters_is_said_as_a_wrong_request(asked, params, where, said):
    ((place, what, code),) = asked(**params)
    assert (place, code) == (where, 2)
    assert said in what


def test_prompts_must_be_given(asked):
    from sfumato_plugins.job import Job

    job = Job("edit", (1,), {"plate": "plate.####.exr"}, {"edit": "out/E.####.exr"}, base=str(pathlib.Path.cwd()))
    assert {p.where for p in problems_here(job) if p.what == "is missing"} == {"params.source", "params.target"}


def test_outputs_end_as_they_must(asked):
    assert asked(output="E.####.png")[0][:2] == ("outputs.edit", asked(output="E.####.png")[0][1])
    assert "does not end in .safetensors" in asked("invert", "R.####.exr")[0][1]


def test_one_record_cannot_serve_two_frames(asked, tmp_path):
    for name in ("plate.0002.exr", "R.safetensors"):
        (tmp_path / name).write_bytes(b"-")
    inputs = {"plate": "plate.####.exr", "record": "R.safetensors"}
    assert asked(inputs=inputs) == []
    (found,) = asked(frames=(1, 2), inputs=inputs)
    assert found[0] == "inputs.record"
    (missing,) = asked(inputs={"plate": "plate.####.exr", "record": "S.safetensors"})
    assert missing[::2] == ("inputs.record", 3)


def test_a_folder_that_is_no_model_we_know_is_named_without_the_engine(asked, tmp_path):
    folder = tmp_path / "models" / "other"
    folder.mkdir(parents=True)
    assert "no model" in asked(model=str(folder))[0][1]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Kandinsky", "unet": ["diffusers", "UNet9D"]}))
    assert "Kandinsky with UNet9D, an architecture sfumato does not know" in asked(model=str(folder))[0][1]
    (folder / "model_index.json").write_text(json.dumps({"transformer": ["diffusers", "PixArtTransformer2DModel"]}))
    assert asked(model=str(folder)) == []
    assert asked(model="models/other") == [], "relative to the job"


def test_a_model_may_be_named_by_the_site(asked, tmp_path, monkeypatch):
    (tmp_path / "shelf" / "ours").mkdir(parents=True)
    index = json.dumps({"unet": ["diffusers", "UNet2DConditionModel"]})
    (tmp_path / "shelf" / "ours" / "model_index.json").write_text(index)
    (tmp_path / "site.toml").write_text(f'models = ["{(tmp_path / "shelf").as_posix()}"]\n')
    assert asked(model="ours")
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "site.toml"))
    assert asked(model="ours") == []


def test_a_models_folder_is_found_where_another_system_keeps_it():
    from sfumato_plugins.job import Job
    from sfumato_plugins.paths import mapped, this_system

    rows = {"paths": [f"{this_system()}=/here; windows=S:/models; macos=/there" if this_system() == "linux" else ""]}
    job = Job("edit", (1,), {}, {}, {"model": "S:/models/a", "source": "S:/models/a"})
    if this_system() == "linux":
        assert mapped(job, rows, {}).params == {"model": "/here/a", "source": "S:/models/a"}


def test_a_farm_that_carries_files_is_told_of_the_models(tmp_path):
    from sfumato_plugins.farm import export
    from sfumato_plugins.job import Job

    model = tmp_path / "model"
    (model / "unet").mkdir(parents=True)
    (model / "model_index.json").write_text(json.dumps({"unet": ["diffusers", "UNet2DConditionModel"]}))
    (model / "unet" / "weights.safetensors").write_bytes(b"-")
    (tmp_path / "plate.0001.exr").write_bytes(b"-")
    params = {"source": "a ball", "target": "a cube", "model": "model"}
    Job("edit", (1,), {"plate": "plate.####.exr"}, {"edit": "E.####.exr"}, params).save(str(tmp_path / "job.json"))
    export(str(tmp_path / "job.json"), "deadline-cloud", str(tmp_path / "bundle"))
    listed = (tmp_path / "bundle" / "asset_references.yaml").read_text()
    for name in ("plate.0001.exr", "model_index.json", "weights.safetensors"):
        assert name in listed


def test_words_with_factors_are_read_as_they_are_written():
    assert factors("blue=2, red ball = .5") == {"blue": 2.0, "red ball": 0.5}
    assert factors("") == {}
    for text in ("blue", "=2", "blue=nan", "blue=2=x"):
        assert Factors("n", "N", "h").wrong(text), text


def test_kinds_that_are_text_in_a_host_read_what_they_mean():
    gamma = NumberOr("n", "N", "h", "auto", options=("auto",))
    assert [gamma.read(text) for text in ("0.96", " auto ")] == [0.96, "auto"]
    assert Prompt("n", "N", "h").wrong(3)
    assert ModelFolder("n", "N", "h").wrong("")


def test_the_knobs_start_where_the_engine_does():
    pytest.importorskip("torch", reason="the engine's settings are compared")
    from sfumato.diffusion.request import PLAIN

    for tool in (EDIT, INVERT):
        for parameter in tool.parameters:
            if hasattr(PLAIN, parameter.name):
                assert parameter.default == getattr(PLAIN, parameter.name), parameter.name
    assert {"steps", "gamma", "guidance", "strength", "keep_detail", "auto_mask", "until", "layout"} <= {
        p.name for p in EDIT.parameters
    }


def test_the_architectures_a_host_edits_with_are_those_the_engine_loads_for_stills():
    pytest.importorskip("torch", reason="the engine's list is compared")
    from sfumato.models import load
    from sfumato_plugins.editing.model import NETWORKS

    assert set(NETWORKS) == set(load._MAKERS) - {"LatteTransformer3DModel"}


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("apache-2.0", True),
        ("MIT", True),
        ("creativeml-openrail-m", True),
        ("openrail++", True),
        ("cc-by-4.0", True),
        ("cc-by-nc-4.0", False),
        ("flux-1-dev-non-commercial-license", False),
        ("stabilityai-ai-community", None),
        ("unknown", None),
    ],
)
def test_a_licence_is_told_by_its_name(licence, allowed):
    from sfumato_plugins.editing.model import commercial

    assert commercial(licence) is allowed


def test_both_tools_say_that_they_make_pictures_up():
    for tool in (EDIT, INVERT):
        told = tool.describe()
        assert told["generative"] is True
        assert "SHA-256" in told["trained_weights"]
        assert [p["name"] for p in told["parameters"] if p["private"]] == ["source", "target"][
            : 2 if tool is EDIT else 1
        ]


def test_help_names_every_option_of_the_contract():
    from sfumato_plugins.cli import _parser

    commands = _parser()._subparsers._group_actions[0].choices
    edit, invert = (re.sub(r"\s+", " ", commands[name].format_help()) for name in ("edit", "invert"))
    for option in ("plate", "source", "target", "out", "mask", "model", "steps", "gamma", "guidance", "strength",
                   "seed", "frames", "record"):  # fmt: skip
        assert f"--{option} " in edit
    for option in ("plate", "source", "record"):
        assert f"--{option} " in invert
    assert "(default: auto)" in edit
    assert "--source WORDS" in edit
