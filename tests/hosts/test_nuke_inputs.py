"""Which pictures at the node's arrows are handed over as files, and that looking and rendering leave no trace."""

import os
import pathlib
import stat
import time

import pytest
from fakes.nuke import Nuke
from tiny_exr import header_only

NUKE = pathlib.Path(__file__).resolve().parents[2] / "nuke"
FRAMES = (1001, 1002, 1003, 1004)


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(NUKE))
    monkeypatch.setenv("SFUMATO_SITE", str(tmp_path / "sfumato_site.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("OCIO", raising=False)
    (tmp_path / "sfumato_site.toml").write_text(f'temporary = "{tmp_path.as_posix()}"\n')


@pytest.fixture
def session():
    with Nuke() as session:
        yield session


@pytest.fixture
def plate(tmp_path):
    """A pattern of four files."""
    for frame in FRAMES:
        header_only(tmp_path / "plates" / f"ab_010.{frame}.exr")
    return str(tmp_path / "plates" / "ab_010.####.exr")


@pytest.fixture
def node(session):
    from sfumato_nuke.node import build

    from sfumato_plugins.tools.matte import MATTE

    return build(MATTE)


def looked(node, frames=FRAMES, views=()):
    from sfumato_nuke.colour import working
    from sfumato_nuke.inputs import look

    from sfumato_plugins.tools.matte import MATTE

    return look(node, MATTE, frames, views, working())


def test_a_bare_read_is_handed_over(session, node, plate):
    node.setInput(0, session.read(plate, 1001, 1004))
    found = looked(node)
    assert (found.files, found.render) == ({"plate": plate}, {})


def test_dots_do_nothing_to_a_picture(session, node, plate):
    node.setInput(0, session.make("Dot", session.make("Dot", session.read(plate, 1001, 1004))))
    assert looked(node).files == {"plate": plate}


@pytest.mark.parametrize(
    ("knob", "value", "why"),
    [
        ("frame_mode", "start at", "shifts frames"),
        ("frame", "10", "shifts frames"),
        ("first", 1002, "outside the Read's range 1002-1004"),
        ("last", 1003, "outside the Read's range 1001-1003"),
        ("on_error", "nearest frame", "nearest frame"),
        ("premultiplied", True, "premultiplied"),
        ("disable", True, "disabled"),
    ],
)
def test_a_read_that_does_something_is_rendered_and_says_what(session, node, plate, knob, value, why):
    read = session.read(plate, 1001, 1004)
    read[knob].setValue(value)
    node.setInput(0, read)
    found = looked(node)
    assert not found.files
    assert why in found.render["plate"]


@pytest.mark.parametrize("knob", ["before", "after", "proxy"])
def test_what_cannot_reach_the_frames_asked_for_does_not_matter(session, node, plate, knob):
    read = session.read(plate, 1001, 1004)
    read[knob].setValue("/proxies/ab_010.####.exr" if knob == "proxy" else "black")
    node.setInput(0, read)
    assert looked(node).files == {"plate": plate}


@pytest.mark.parametrize(
    ("raw", "space", "handed"),
    [
        (True, "sRGB", True),
        (False, "linear", True),
        (False, "default (linear)", True),
        (False, "sRGB", False),
        (False, "AlexaV3LogC", False),
    ],
)
def test_only_pixels_that_nuke_does_not_convert_are_handed_over(session, node, plate, raw, space, handed):
    read = session.read(plate, 1001, 1004, colorspace=space)
    read["raw"].setValue(raw)
    node.setInput(0, read)
    found = looked(node)
    assert bool(found.files) == handed
    assert handed or found.render["plate"] == f"its Read converts from {space} to lin_rec709_scene"


def test_an_alpha_that_the_read_invents_makes_another_mask_but_the_same_plate(session, node, plate):
    for number in (0, 1):
        node.setInput(number, session.read(plate, 1001, 1004, auto_alpha=True))
    found = looked(node)
    assert set(found.files) == {"plate"}
    assert "alpha of its own" in found.render["trimap"]


@pytest.mark.parametrize("name", ["first", "file", "raw"])
def test_keys_and_expressions_on_a_read_are_rendered(session, node, plate, name):
    read = session.read(plate, 1001, 1004)
    read[name].setAnimated()
    node.setInput(0, read)
    assert f"keys on {name}" in looked(node).render["plate"]


def test_a_file_name_with_an_expression_is_handed_over_if_it_names_one_sequence(session, node, plate):
    session.environ["PLATE"] = plate.replace(".####.exr", "")
    node.setInput(0, session.read("[getenv PLATE].####.exr", 1001, 1004))
    assert looked(node).files == {"plate": plate}


def test_a_file_name_that_changes_from_frame_to_frame_is_rendered(session, node, plate):
    node.setInput(0, session.read(plate.replace("####", "[frame]"), 1001, 1004))
    assert "not the same in every frame" in looked(node).render["plate"]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"left": 10, "top": 5}, "does not start at 0, 0"),
        ({"width": 128}, "64 x 48, the file is 128 x 48"),
        ({"aspect": 2.0}, "pixel aspect"),
    ],
)
def test_a_file_that_nuke_shows_with_other_windows_is_rendered(session, node, plate, header, why):
    node.setInput(0, session.read(plate, 1001, 1004))
    header_only(pathlib.Path(plate.replace("####", "1004")), **header)
    assert why in looked(node).render["plate"]


def test_what_is_no_exr_is_rendered(session, node, tmp_path):
    (tmp_path / "still.png").write_bytes(b"png")
    node.setInput(0, session.read(tmp_path / "still.png", 1, 1))
    assert looked(node, (1,)).render["plate"] == "it is not an EXR"


def test_a_node_before_the_arrow_is_named(session, node, plate):
    node.setInput(0, session.make("Grade", session.read(plate, 1001, 1004)))
    assert looked(node).render["plate"] == "there is a Grade before it"


def test_several_views_need_a_name_for_each(session, node, plate, tmp_path):
    session.views, session.view = ["left", "right"], "left"
    for view in session.views:
        for frame in FRAMES:
            header_only(tmp_path / "plates" / f"{view}.{frame}.exr")
    node.setInput(0, session.read(tmp_path / "plates" / "%V.####.exr", 1001, 1004))
    assert looked(node, views=("left", "right")).files["plate"].endswith("%V.####.exr")
    node.setInput(0, session.read(plate, 1001, 1004))
    assert "no %V" in looked(node, views=("left", "right")).render["plate"]


@pytest.mark.parametrize(("knob", "value"), [("band_inward", 2.0), ("band_outward", -1.0), ("trimap_from", "alpha")])
def test_a_trimap_changed_inside_the_node_is_rendered(session, node, plate, knob, value):
    node.setInput(1, session.read(plate, 1001, 1004))
    node[knob].setValue(value)
    assert "unknown band" in looked(node).render["trimap"]


def test_missing_frames_are_left_to_whoever_can_say_it_better(session, node, plate):
    pathlib.Path(plate.replace("####", "1004")).unlink()
    node.setInput(0, session.read(plate, 1001, 1004))
    assert looked(node).files == {"plate": plate}


def test_an_ocio_config_is_found_in_the_environment_the_project_and_nukes_own_folder(session, tmp_path, monkeypatch):
    from sfumato_nuke.colour import working

    from sfumato_plugins.errors import JobError

    root = session.root
    root["colorManagement"].setValue("OCIO")
    root["workingSpaceLUT"].setValue("scene_linear (ACES - ACEScg)")
    with pytest.raises(JobError, match="nuke-default was not found"):
        working()
    configs = tmp_path / "Nuke" / "plugins" / "OCIOConfigs" / "configs" / "nuke-default"
    configs.mkdir(parents=True)
    (configs / "config.ocio").write_text("")
    session.module._behaviours["EXE_PATH"] = str(tmp_path / "Nuke" / "Nuke15.1")
    assert working().config.endswith("nuke-default/config.ocio")
    assert working().space == "ACES - ACEScg"
    root["OCIO_config"]._value = "custom"
    with pytest.raises(JobError, match="is not there"):
        working()
    (tmp_path / "show.ocio").write_text("")
    root["customOCIOConfigPath"].setValue(str(tmp_path / "show.ocio"))
    assert working().config == str(tmp_path / "show.ocio")
    monkeypatch.setenv("OCIO", "/shows/ab/config.ocio")
    assert working().config == "/shows/ab/config.ocio"


@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("trouble", [None, RuntimeError("Cancelled"), RuntimeError("Merge1: no")])
def test_rendering_leaves_no_trace_whatever_happens(session, node, plate, tmp_path, proxy, trouble):
    from sfumato_nuke import inputs

    from sfumato_plugins.errors import JobError
    from sfumato_plugins.tools.matte import MATTE

    seen = []

    def execute(write, first, last, incr=1, views=None):
        seen.append(
            (session.root["proxy"].value(), write["disable"].value(), node.node("plate_region")["disable"].value())
        )
        if trouble:
            raise trouble

    session.module._behaviours["execute"] = execute
    node.setInput(0, session.make("Grade", session.read(plate, 1001, 1004)))
    session.root["proxy"].setValue(proxy)
    session.save(tmp_path / "script.nk")
    before = (len(session.undo), (tmp_path / "script.nk").read_text())
    found = looked(node)
    expected = {"Cancelled": inputs.Cancelled, "Merge1: no": JobError}.get(str(trouble))
    if expected:
        with pytest.raises(expected, match="plate"):
            inputs.render(node, MATTE, found, FRAMES, (), str(tmp_path), (0, 0, 10, 10))
    else:
        inputs.render(node, MATTE, found, (1001, 1002, 1004), (), str(tmp_path), (0, 0, 10, 10))
        assert found.files["plate"] == f"{tmp_path}/plate.####.exr"
    assert set(seen) == {(False, False, False)}
    assert len(seen) == (1 if trouble else 2)
    assert session.root["proxy"].value() is proxy
    assert not session.root.modified()
    session.save(tmp_path / "script.nk")
    assert (len(session.undo), (tmp_path / "script.nk").read_text()) == before


def test_a_job_folder_is_its_users_alone_and_gone_after(session, tmp_path):
    from sfumato_nuke import scratch

    from sfumato_plugins.settings import load_settings

    settings = load_settings()
    folder = scratch.new(settings, "matte")
    for path in (folder, os.path.dirname(folder)):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert folder.startswith(tmp_path.as_posix())
    assert scratch.sweep(settings) == []
    scratch.remove(folder)
    assert not os.path.exists(folder)


def test_the_next_start_removes_what_a_crash_left(session, tmp_path):
    import subprocess
    import sys

    from sfumato_nuke import scratch

    from sfumato_plugins.settings import load_settings

    code = """
import sys, os
from sfumato_nuke import scratch
from sfumato_plugins.settings import load_settings
print(scratch.new(load_settings(), "matte"), flush=True)
sys.stdin.read()
"""
    paths = os.pathsep.join([str(NUKE), str(NUKE.parent / "plugins")])
    environ = {**os.environ, "PYTHONPATH": paths}
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )
    folder = other.stdout.readline().strip()
    assert scratch.sweep(load_settings()) == [], "it is in use"
    other.kill()
    other.wait()
    end = time.monotonic() + 5
    while os.path.exists(folder) and time.monotonic() < end:
        scratch.sweep(load_settings())
    assert not os.path.exists(folder)


def test_inputs_of_a_farms_job_stay_until_its_result_is_there(session, tmp_path):
    from sfumato_nuke import scratch

    from sfumato_plugins.settings import load_settings

    inputs, result = tmp_path / "v001.inputs", tmp_path / "v001.result.json"
    inputs.mkdir()
    scratch.leave(load_settings(), str(inputs), str(result))
    assert scratch.sweep(load_settings()) == []
    assert inputs.is_dir()
    result.write_text("{}")
    assert scratch.sweep(load_settings()) == [str(inputs)]
    assert not inputs.exists()
    (root,) = tmp_path.glob("sfumato-*")
    assert not list(root.iterdir()), "nothing is left to remember"


def test_a_keyed_trimap_is_handed_over_and_never_rendered(session, node, plate, tmp_path):
    from sfumato_nuke.colour import working
    from sfumato_nuke.inputs import look

    from sfumato_plugins.errors import JobError
    from sfumato_plugins.tools.matte import MATTE

    header_only(tmp_path / "keys" / "trimap.1002.exr")
    keys = str(tmp_path / "keys" / "trimap.####.exr")
    node.setInput(1, session.read(keys, 1002, 1002))
    assert look(node, MATTE, FRAMES, (), working(), None, {"trimap"}).files == {"trimap": keys}
    node.setInput(1, session.make("Grade", session.read(keys, 1002, 1002)))
    with pytest.raises(JobError, match="only some frames of it are meant"):
        look(node, MATTE, FRAMES, (), working(), None, {"trimap"})


@pytest.mark.parametrize(("there", "written"), [(["rgba.red", "rgba.alpha"], "rgba"), (["rgba.red"], "rgb")])
def test_an_alpha_nobody_made_is_not_rendered_as_a_mask(session, node, plate, tmp_path, monkeypatch, there, written):
    from sfumato_nuke.inputs import render

    from sfumato_plugins.tools.matte import MATTE

    seen = []
    session.module._behaviours["execute"] = lambda write, *_, **__: seen.append(write["channels"].value())
    monkeypatch.setattr("fakes.nuke_nodes.exr_channels", lambda path: there)
    node.setInput(4, session.make("Grade", session.read(plate, 1001, 1004)))
    render(node, MATTE, looked(node), FRAMES, (), str(tmp_path))
    assert seen == [written]
    assert node.node("write_garbage")["channels"].value() == "rgba"


def test_a_script_never_saved_has_no_place_for_results(session, node, plate):
    for number in (0, 1):
        node.setInput(number, session.read(plate, 1001, 1004))
    session.press(node, "run_here")
    assert "never been saved" in session.messages[0]


def test_a_node_whose_inside_was_changed_is_named(session, node):
    node.node("result").setName("my_read")
    session.press(node, "update_status")
    assert "there is no result any more" in session.messages[0]
