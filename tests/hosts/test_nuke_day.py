"""An artist's day in Nuke, on the strict fake: real processes, real EXR files, nothing made up but Nuke itself."""

import json
import os
import pathlib
import subprocess

import pytest
from fakes.nuke import Nuke

NUKE = pathlib.Path(__file__).resolve().parents[2] / "nuke"
FIRST, LAST = 1001, 1012


@pytest.fixture(autouse=True)
def places(monkeypatch, nuke_machine, engine):
    """A machine of their own, which knows the engine."""
    monkeypatch.setenv("SFUMATO_PYTHON", engine)


@pytest.fixture
def session(engine):
    with Nuke(engine=engine) as session:
        yield session


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "shots" / "ab 010"  # people do have spaces in their folders
    folder.mkdir(parents=True)
    return folder / "ab_010_comp.nk"


def wired(session, shot, script, between=""):
    """A node from the menu with a plate and a trimap, in a saved script; frames 1001-1012 at preview quality."""
    from sfumato_nuke.menu import install

    install()
    session.choose("Nodes/sfumato/Matte")
    node = session.root.node("sfumato_matte1")
    plate = session.read(shot / "plate.####.exr", FIRST, LAST)
    node.setInput(0, session.make(between, plate) if between else plate)
    node.setInput(1, session.read(shot / "trimap.####.exr", FIRST, LAST))
    node["matte_quality"].setValue("preview")
    session.save(script)
    return node


def ran(session, node, button="run_here"):
    """Press a button and let time pass until nothing runs."""
    from sfumato_nuke.watch import WATCH

    session.press(node, button)
    session.pump(lambda: not WATCH.runs)
    return node["status"].value()


def job_folders(tmp_path):
    (root,) = tmp_path.glob("sfumato-*")
    return [path for path in root.iterdir() if path.is_dir()]


def pixels(engine, path, *channels):
    """Channels of a file as lists of rows, read by the engine."""
    code = """
import json, sys, OpenImageIO as oiio
i = oiio.ImageInput.open(sys.argv[1]); a = i.read_image(oiio.FLOAT); n = i.spec().channelnames
print(json.dumps([a[:, :, n.index(c)].tolist() for c in sys.argv[2:]]))
"""
    done = subprocess.run([engine, "-c", code, str(path), *channels], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def apart(one, other):
    """The largest difference of two lists of channels."""
    both = [[value for channel in picture for row in channel for value in row] for picture in (one, other)]
    return max(abs(a - b) for a, b in zip(*both, strict=True))


def size(engine, path):
    code = "import sys, OpenImageIO as o; s = o.ImageInput.open(sys.argv[1]).spec(); print(s.width, s.height, s.x, s.y)"
    done = subprocess.run([engine, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split()))


def test_an_artists_day(session, tiny_shot, script, tmp_path, engine):
    from sfumato_nuke.watch import WATCH

    node = wired(session, tiny_shot, script)
    history = len(session.undo)

    # Run here, watch it, stop it with Nuke's own bar
    node["range_from"].setValue("frames below")
    node["frames"].setValue("1001-1004 1006-1012")
    session.save(script)
    session.press(node, "run_here")
    (run,) = WATCH.runs
    session.pump(lambda: run.frames)
    assert node["status"].value().startswith("v001: ")
    (bar,) = session.bars
    assert bar._shares == sorted(bar._shares)
    session.cancel_bar = True
    session.pump(lambda: not WATCH.runs)
    session.cancel_bar = False
    del bar
    assert "stopped" in node["status"].value()
    folder = script.parent / "sfumato" / "sfumato_matte1" / "v001"
    begun = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.exr")}
    assert 0 < len(begun) < 11, "stopped in the middle"
    assert not (folder / "sfumato_matte1_v001.result.json").exists()
    session.press(node, "update_status")
    assert node["status"].value() == "v001, not complete"

    # Run it again: the same version goes on, finished frames are kept, the result is shown
    assert ran(session, node) == "v001, up to date"
    done = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.exr")}
    assert {name: done[name] for name in begun} == begun
    assert sorted(int(name.split(".")[1]) for name in done) == [*range(1001, 1005), *range(1006, 1013)]
    result = node.node("result")
    assert result["file"].value() == (folder / "sfumato_matte1_v001.####.exr").as_posix()
    assert (result["first"].value(), result["last"].value()) == (1001, 1012)
    assert node["label"].value() == "v001"

    # Change a knob: the status says so, the next run is a new version and one step of the undo history
    node["matte_erode"].setValue(4.0)
    session.press(node, "update_status")
    assert node["status"].value() == "v001, settings changed since"
    history = len(session.undo)
    assert ran(session, node) == "v002, up to date"
    assert "v002" in result["file"].value()
    assert [name for name, _ in session.undo[history:]] == ["sfumato_matte1: show v002"]

    # Another file at the same place: inputs changed
    node.input(0)["last"].setValue(1011)
    session.press(node, "update_status")
    assert node["status"].value() == "v002, inputs changed since"
    node.input(0)["last"].setValue(1012)

    # To the local queue; what it made is shown
    node["matte_despill"].setValue("green")
    session.press(node, "send_to_farm")
    assert "changes that are not saved" in session.messages.pop()
    session.save(script)
    node["farm_slots"].setValue(2)
    session.save(script)
    assert ran(session, node, "send_to_farm") == "v003, up to date"
    folder = script.parent / "sfumato" / "sfumato_matte1" / "v003"
    assert (folder / "sfumato_matte1_v003.nk").read_text() == script.read_text()
    assert (folder / "sfumato_matte1_v003.result.json").exists()
    assert "v003" in result["file"].value()

    # Back to an older version
    node["version_to_load"].setValue("v001")
    session.press(node, "load_version")
    assert "v001" in result["file"].value()
    assert node["status"].value() == "v001, settings changed since"
    plate = node.input(0)
    node.setInput(0, None)
    session.press(node, "load_version")
    assert node["status"].value() == "v001, inputs changed since", "results show without a plate"
    node.setInput(0, plate)
    node["version_to_load"].setValue("v009")
    session.press(node, "load_version")
    assert "v009 is not there" in session.messages.pop()
    assert "v001, v002, v003" in node["last_error"].value()

    # The engine gives the GPU back when told
    assert WATCH.engine.alive
    session.press(node, "release_gpu")
    assert not WATCH.engine.alive
    assert node["status"].value() == "the GPU is released"

    assert not session.messages
    assert not session.bars, "Nuke's bar goes with the last reference to it"
    assert job_folders(tmp_path) == []
    assert all(written.is_relative_to(tmp_path) for written in script.parent.rglob("*"))


def test_nodes_before_the_arrow_are_in_the_picture_that_is_solved(session, tiny_shot, script, tmp_path, engine):
    node = wired(session, tiny_shot, script, between="Grade")
    node["plate_bits"].setValue("float")
    node.input(0)["multiply"].setValue(0.5)
    node.input(0)["channels"].setValue("rgb")
    node["range_from"].setValue("frames below")
    node["frames"].setValue("1003")
    assert ran(session, node) == "v001, up to date"
    assert "plate: rendered, there is a Grade before it" in node["inputs_told"].value()
    assert session.rendered == [("write_plate", 1003, 1003, ("main",), False)]
    assert job_folders(tmp_path) == []
    (path,) = script.parent.rglob("*_v001.1003.exr")
    alpha, green = pixels(engine, path, "A", "fg.G")
    (plate,) = pixels(engine, tiny_shot / "plate.1003.exr", "G")
    solid = [(y, x) for y, row in enumerate(alpha) for x, a in enumerate(row) if a == 1]
    assert len(solid) > 100
    assert all(green[y][x] == plate[y][x] / 2 for y, x in solid)


def test_in_proxy_mode_inputs_are_rendered_whole_and_the_mode_stays(session, tiny_shot, script, engine):
    node = wired(session, tiny_shot, script, between="Grade")
    session.root["proxy"].setValue(True)
    session.save(script)
    session.frame = 1002
    assert ran(session, node, "solve_frame") == "frame 1002 at preview quality"
    assert [proxy for *_, proxy in session.rendered] == [False]
    assert session.root["proxy"].value() is True
    assert not session.root.modified() or node["show"].value() == "this frame"
    assert size(engine, node.node("this_frame")["file"].value().replace("####", "1002")) == (160, 90, 0, 0)


def test_solve_this_frame_looks_only_at_the_viewers_region_and_shows_it(session, tiny_shot, script, engine):
    node = wired(session, tiny_shot, script)
    session.viewer = session.make("Viewer")
    session.viewer._roi = {"x": 40.0, "y": 10.0, "r": 120.0, "t": 80.0}
    session.frame = 1005
    node["matte_quality"].setValue("final")
    ran(session, node, "solve_frame")
    assert node["show"].value() == "this frame"
    assert node["matte_quality"].value() == "final"
    path = node.node("this_frame")["file"].value().replace("####", "1005")
    assert size(engine, path) == (80, 70, 40, 10)
    assert "preview" in pathlib.Path(path).parent.name
    assert not list(script.parent.rglob("v001")), "a look is no version"
    session.viewer._roi = None
    ran(session, node, "solve_frame")
    assert size(engine, path) == (160, 90, 0, 0)


def test_both_views_are_computed_into_files_of_their_own(session, tiny_shot, script, tmp_path, engine):
    session.views, session.view = ["left", "right"], "left"
    node = wired(session, tiny_shot, script, between="Grade")
    node["range_from"].setValue("frames below")
    node["frames"].setValue("1001-1002")
    assert ran(session, node) == "v001, up to date"
    made = sorted(path.name for path in script.parent.rglob("*.exr"))
    assert made == [f"sfumato_matte1_v001.{v}.{f}.exr" for v in ("left", "right") for f in (1001, 1002)]
    assert "%V" in node.node("result")["file"].value()
    assert {views for _, _, _, views, _ in session.rendered} == {("left", "right")}


def test_a_request_that_cannot_be_computed_comes_back_as_sentences(session, tiny_shot, script, tmp_path):
    node = wired(session, tiny_shot, script)
    node.setInput(1, None)
    session.press(node, "run_here")
    assert "nothing says where the edge is" in session.messages.pop()
    node.setInput(0, None)
    session.press(node, "run_here")
    assert "nothing is connected to plate" in session.messages.pop()
    assert not list(script.parent.rglob("*.exr"))


def test_a_missing_frame_is_named_before_anything_is_started(session, tiny_shot, script, tmp_path):
    from sfumato_nuke.watch import WATCH

    node = wired(session, tiny_shot, script)
    for path in tiny_shot.glob("plate.*.exr"):
        if "1007" not in path.name:
            os.link(path, tmp_path / path.name)
    node.setInput(0, session.read(tmp_path / "plate.####.exr", FIRST, LAST))
    session.press(node, "run_here")
    assert "no frame 1007" in session.messages.pop()
    assert WATCH.engine is None


def test_a_failure_of_the_engine_reaches_the_artist_with_its_log(session, tiny_shot, script, tmp_path):
    node = wired(session, tiny_shot, script)
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in tiny_shot.glob("trimap.*.exr"):
        (broken / path.name).write_bytes(path.read_bytes()[:1500])
    node.setInput(1, session.read(broken / "trimap.####.exr", FIRST, LAST))
    said = ran(session, node)
    assert said.startswith("stopped: ")
    assert "trimap" in node["last_error"].value()
    log = node["last_error"].value().rpartition("log: ")[2]
    assert os.path.isfile(log)
    assert node["tile_color"].value() != 0
    assert not session.messages, "nothing pops up by itself"
    node.setInput(1, session.read(tiny_shot / "trimap.####.exr", FIRST, LAST))
    assert ran(session, node).endswith("up to date")
    assert node["tile_color"].value() == 0


def test_rendered_inputs_are_gone_after_a_failure_and_after_a_cancel(session, tiny_shot, script, tmp_path):
    from sfumato_nuke.watch import WATCH

    node = wired(session, tiny_shot, script, between="Grade")
    node["matte_quality"].setValue("standard")
    session.press(node, "run_here")
    assert len(job_folders(tmp_path)) == 1
    session.press(node, "cancel")
    session.pump(lambda: not WATCH.runs)
    assert job_folders(tmp_path) == []
    node["output"].setValue("/proc/nowhere/{version}/m.####.exr")
    session.press(node, "run_here")
    session.pump(lambda: not WATCH.runs)
    assert session.messages
    assert job_folders(tmp_path) == []


def test_two_nodes_are_computed_one_after_the_other_and_may_be_renamed(session, tiny_shot, script):
    from sfumato_nuke.watch import WATCH

    first = wired(session, tiny_shot, script)
    session.choose("Nodes/sfumato/Matte")
    second = session.root.node("sfumato_matte2")
    for number in (0, 1):
        second.setInput(number, first.input(number))
    second["matte_quality"].setValue("preview")
    session.save(script)
    session.press(first, "run_here")
    session.press(second, "run_here")
    second["seed"].setValue(7)  # while it waits
    session.press(second, "run_here")
    assert "is being computed already" in session.messages.pop()
    session.pump(lambda: "1 ahead" in second["status"].value())
    first.setName("hair")  # a run follows its node
    session.pump(lambda: not WATCH.runs)
    assert first["status"].value() == "v001, up to date"
    assert second["status"].value() == "v001, settings changed since"
    assert first.node("result")["file"].value() != second.node("result")["file"].value()


def test_the_site_says_where_results_go_and_an_artists_label_stays(session, tiny_shot, script, tmp_path):
    with open(tmp_path / "sfumato_site.toml", "a") as file:
        file.write(
            f'show = "ab"\noutput = "{tmp_path.as_posix()}/{{show}}/{{shot}}/{{version}}/m_{{version}}.####.exr"\n'
        )
    node = wired(session, tiny_shot, script)
    node["range_from"].setValue("frames below")
    node["frames"].setValue("1001")
    node["label"].setValue("hair, left")
    session.press(node, "run_here")
    assert "{shot} has no value" in session.messages.pop()
    node["output_shot"].setValue("010")
    node["write_page"].setValue(True)
    assert ran(session, node) == "v001, up to date"
    assert (tmp_path / "ab" / "010" / "v001" / "m_v001.1001.exr").exists()
    assert (tmp_path / "ab" / "010" / "v001" / "m_v001.page.html").exists()
    node["output"].setValue("one.%04d.exr")  # no version in it: what is there is only looked at beside
    session.frame = 1002
    ran(session, node, "solve_frame")
    assert (script.parent / "preview" / "one.1002.exr").exists()
    assert not (script.parent / "one.1002.exr").exists()
    assert node["label"].value() == "hair, left"


def test_the_scripts_own_ocio_config_and_working_space_travel_with_the_job(
    session, tiny_shot, script, tmp_path, engine
):
    code = """
import sys, PyOpenColorIO as o
c = o.Config.CreateFromBuiltinConfig("cg-config-v1.0.0_aces-v1.3_ocio-v2.1")
open(sys.argv[1], "w").write(c.serialize())
"""
    config = tmp_path / "show.ocio"
    subprocess.run([engine, "-c", code, str(config)], check=True)
    node = wired(session, tiny_shot, script)
    for name, value in (("colorManagement", "OCIO"), ("OCIO_config", "custom"), ("workingSpaceLUT", "ACEScg")):
        session.root[name].setValue(value)
    session.root["customOCIOConfigPath"].setValue(str(config))
    node["range_from"].setValue("frames below")
    node["frames"].setValue("1001")
    assert ran(session, node) == "v001, up to date"
    (result,) = script.parent.rglob("*.result.json")
    job = json.loads(result.read_text())["job"]
    assert job["color"]["config"] == str(config)
    assert job["color"]["plate"] == "ACEScg"
    assert str(config) in node["inputs_told"].value()


def test_an_engine_that_dies_is_reported_and_started_again(session, tiny_shot, script):
    from sfumato_nuke.watch import WATCH

    node = wired(session, tiny_shot, script)
    node["matte_quality"].setValue("standard")
    session.press(node, "run_here")
    session.pump(lambda: "%" in node["status"].value())
    os.kill(WATCH.engine._child.pid, 9)
    session.pump(lambda: not WATCH.runs)
    assert node["status"].value().startswith("stopped: ")
    assert "log: " in node["last_error"].value()
    node["matte_quality"].setValue("preview")
    assert ran(session, node).endswith("up to date")


def test_without_an_engine_the_artist_reads_what_to_set(session, tiny_shot, script, monkeypatch):
    monkeypatch.setenv("SFUMATO_PYTHON", "/nowhere/python")
    node = wired(session, tiny_shot, script)
    session.press(node, "run_here")
    assert "/nowhere/python" in session.messages.pop()
    assert "SFUMATO_PYTHON" in node["last_error"].value()


@pytest.mark.parametrize("button", ["run_here", "solve_frame", "cancel", "load_version", "reveal", "send_to_farm",
                                    "update_status", "release_gpu"])  # fmt: skip
def test_no_button_ever_raises(session, tiny_shot, script, button, monkeypatch):
    node = wired(session, tiny_shot, script)
    for name in ("sfumato_nuke.order.working", "sfumato_nuke.results.reveal", "sfumato_nuke.watch.Watch.release",
                 "sfumato_nuke.watch.Watch.of"):  # fmt: skip
        monkeypatch.setattr(name, lambda *_, **__: 1 / 0)
    session.press(node, button)
    (message,) = session.messages
    assert "ZeroDivisionError" in message
    log = message.rpartition("log: ")[2]
    assert "ZeroDivisionError" in pathlib.Path(log).read_text()


def test_a_node_deleted_while_it_is_computed_leaves_a_whole_version(session, tiny_shot, script, tmp_path):
    from sfumato_nuke.watch import WATCH

    node = wired(session, tiny_shot, script, between="Grade")
    session.press(node, "run_here")
    session.root._nodes.remove(node)
    session.pump(lambda: not WATCH.runs)
    assert list(script.parent.rglob("*_v001.result.json"))
    assert job_folders(tmp_path) == []
    assert "not in the open script" in session.printed[-1]
    assert not any("Error" in line for line in session.printed)


def test_a_request_that_is_wrong_reserves_no_version(session, tiny_shot, script):
    node = wired(session, tiny_shot, script)
    node.setInput(1, None)
    for button in ("run_here", "send_to_farm"):
        session.save(script)
        session.press(node, button)
        assert session.messages.pop()
    assert not list(script.parent.rglob("v001"))


@pytest.mark.parametrize("target", ["openjd", "deadline-cloud", "tractor"])
def test_a_job_is_written_for_a_render_manager_with_inputs_it_can_read(session, tiny_shot, script, tmp_path, target):
    node = wired(session, tiny_shot, script, between="Grade")
    node["farm_target"].setValue(target)
    node["farm_pool"].setValue("gpu")
    session.save(script)
    session.press(node, "send_to_farm")
    assert not session.messages
    assert node["status"].value().startswith(f"written for {target}")
    folder = script.parent / "sfumato" / "sfumato_matte1" / "v001"
    job = json.loads((folder / "sfumato_matte1_v001.job.json").read_text())
    assert job["names"]["version"] == "v001"
    plate = pathlib.Path(job["inputs"]["plate"])
    assert plate.parent == folder / "sfumato_matte1_v001.inputs"
    assert len(list(plate.parent.glob("plate.*.exr"))) == 12
    assert any(target.split("-")[0] in path.name or path.suffix == ".alf" for path in folder.iterdir())


def test_the_same_day_without_a_window(engine, tiny_shot, script, tmp_path):
    with Nuke(gui=False, engine=engine) as session:
        from sfumato_nuke.node import build

        import sfumato_plugins

        node = build(sfumato_plugins.tool("matte"))
        node.setInput(0, session.make("Grade", session.read(tiny_shot / "plate.####.exr", FIRST, LAST)))
        node.setInput(1, session.read(tiny_shot / "trimap.####.exr", FIRST, LAST))
        node["matte_quality"].setValue("preview")
        session.save(script)
        node["run_here"].execute()
        assert node["status"].value() == "v001, up to date"
        assert "v001" in node.node("result")["file"].value()
        assert any("%" in line for line in session.printed)
        assert not session.messages
        assert not session.bars
        node["seed"].setValue(3)
        session.save(script)
        session.press(node, "send_to_farm")
        assert node["status"].value() == "v002, up to date"
        session.press(node, "solve_frame")
        assert node["status"].value() == "frame 1001 at preview quality"
        assert job_folders(tmp_path) == []


def test_a_script_with_results_renders_where_sfumato_is_not(session, engine, tiny_shot, script, tmp_path, monkeypatch):
    node = wired(session, tiny_shot, script)
    node["range_from"].setValue("frames below")
    node["frames"].setValue("1001-1002")
    ran(session, node)
    node["show"].setValue("this frame")
    write = session.make("Write", node)
    write["file"].setValue(str(tmp_path / "comp" / "comp.####.exr"))
    write["file_type"].setValue("exr")
    write["datatype"].setValue("32 bit float")
    write["channels"].setValue("rgba")
    session.save(script)
    result = node.node("result")["file"].value()
    session.__exit__(None, None, None)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry != str(NUKE)])
    with Nuke(gui=False, engine=engine) as farm:
        farm.load(script.read_text())
        farm.module.execute(farm.root.node("Write1"), 1001, 1002, 1)
        assert not farm.messages
        made = pixels(engine, tmp_path / "comp" / "comp.1002.exr", "R", "G", "B", "A")
        solved = pixels(engine, result.replace("####", "1002"), "R", "G", "B", "A")
    assert apart(made, solved) < 1e-6
    session.__enter__()
