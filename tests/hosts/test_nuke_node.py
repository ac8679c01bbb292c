"""The node in Nuke: what the menu makes, what the shipped text says, what its buttons are. No engine is needed."""

import ast
import pathlib
import re
import runpy
import subprocess
import sys

import pytest
from fakes.nuke import Nuke
from fakes.nuke_nodes import COMMON
from parsers import nk

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUKE = ROOT / "nuke"
TEXT = (NUKE / "sfumato_nuke" / "nodes" / "sfumato_matte.nk").read_text(encoding="utf-8")
TAB, TEXT_LINE = 20, 26


@pytest.fixture(autouse=True)
def nuke_path(monkeypatch):
    """What Nuke does with a folder on NUKE_PATH."""
    monkeypatch.syspath_prepend(str(NUKE))


@pytest.fixture
def session():
    with Nuke() as session:
        yield session


@pytest.fixture
def node(session):
    from sfumato_nuke.node import build

    import sfumato_plugins

    return build(sfumato_plugins.tool("matte"))


def shipped():
    (group,) = nk.parse(TEXT)
    return group


def test_the_menu_has_an_entry_for_every_tool_and_makes_its_node_under_the_selected_one(session):
    import sfumato_plugins

    runpy.run_path(str(NUKE / "menu.py"))
    labels = [*(tool.label for tool in sfumato_plugins.NODES), "Boxes..."]
    assert set(session.menus) == {f"Nodes/sfumato/{label}" for label in labels}
    read = session.make("Read")
    read.setSelected(True)
    session.choose("Nodes/sfumato/Matte")
    node = session.root.node("sfumato_matte1")
    assert node.input(0) is read
    assert session.panels == [node]
    assert session.undo[-1][0] == "new Matte node"
    session.choose("Nodes/sfumato/Matte")
    assert session.root.node("sfumato_matte2") is not None
    assert not session.messages


def test_a_menu_that_cannot_be_made_says_why_in_one_message(session, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(NUKE)])
    runpy.run_path(str(NUKE / "menu.py"))
    (message,) = session.messages
    assert "sfumato_nuke" in message


def test_adding_the_menu_imports_nothing_else_of_ours():
    code = f"""
import sys, types
sys.path[:0] = [{str(NUKE)!r}, {str(ROOT / "plugins")!r}]
class Menu:
    def addMenu(self, name): return self
    def addCommand(self, name, command): pass
sys.modules["nuke"] = types.SimpleNamespace(menu=lambda name: Menu())
before = set(sys.modules)
import sfumato_nuke.menu
sfumato_nuke.menu.install()
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in ast.literal_eval(done.stdout) if "sfumato" in name} == {
        "sfumato_nuke",
        "sfumato_nuke.menu",
    }


@pytest.mark.parametrize("times", [1, 2])
def test_init_is_silent_cannot_raise_and_appends_one_folder_once(times):
    code = f"""
import runpy, sys
before = list(sys.path)
for _ in range({times}):
    runpy.run_path({str(NUKE / "init.py")!r})
assert sys.path[:len(before)] == before and len(sys.path) == len(before) + 1, sys.path
import sfumato_plugins
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_init_keeps_still_in_the_strangest_environment():
    code = f"""
import sys
source = open({str(NUKE / "init.py")!r}).read()
sys.path = None
exec(compile(source, "init.py", "exec"), {{"__name__": "init"}})
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_shipped_text_is_what_the_command_writes(tmp_path):
    from sfumato_nuke.design import design
    from sfumato_nuke.text import as_text

    import sfumato_plugins

    for tool in sfumato_plugins.NODES:
        node = design(tool)
        file = NUKE / "sfumato_nuke" / "nodes" / f"{node.name}.nk"
        assert file.read_text(encoding="utf-8") == as_text(node), "run: python -m sfumato_nuke.text"


def described(group):
    """All that makes a node, in a form to compare: knobs of the panel, inner nodes with knobs, expressions, wires."""

    def values(node):
        return {
            n: (k._expression or k._value) for n, k in node._knobs.items() if k._expression or k._value != k._default
        }

    panel = [
        (k._name, k._kind, k._label, k._tooltip, k._items, k._range, k._flags & 0x400, k._value)
        for k in (group._knobs[name] for name in group._user)
    ]
    inner = {n.name(): (n._kind, values(n), {i: above.name() for i, above in n._wires.items()}) for n in group._nodes}
    return panel, inner


def test_the_node_built_by_calls_is_the_one_the_text_describes(session, node):
    (pasted,) = session.load(TEXT)
    built, read = described(node), described(pasted)
    assert built[0] == read[0]
    assert built[1] == read[1]


def test_the_text_starts_with_the_group_and_holds_no_path_and_no_place_in_its_header():
    assert TEXT.startswith("Group {\n")
    header = TEXT[: TEXT.index("\n}\n")]
    assert not re.search(r"^\s*(xpos|ypos|selected|onCreate|knobChanged|updateUI|autolabel)\b", header, re.MULTILINE)
    assert not re.search(r"(^|[\s\"{])(/|[A-Za-z]:[/\\])\w", TEXT), "an absolute path"


def test_every_knob_has_a_tooltip_and_a_name_of_small_letters():
    for knob in shipped().user:
        assert knob.tooltip, knob.name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", knob.name), knob.name
        assert knob.name not in COMMON


def test_names_that_saved_scripts_hold_are_all_still_there():
    saved = (ROOT / "tests" / "golden" / "nuke_matte_layout_1.txt").read_text(encoding="utf-8").split()
    group = shipped()
    there = {knob.name for knob in group.user} | {f"{inner.kind}.{inner.name}" for inner in group.nodes}
    assert set(saved) <= there, "a name may only go with a migration"


def test_the_numbers_of_the_arrows_never_change():
    arrows = {inner.name: int(inner.knobs.get("number", 0)) for inner in shipped().nodes if inner.kind == "Input"}
    assert arrows == {"plate": 0, "trimap": 1, "roto": 2, "core": 3, "garbage": 4, "holdout": 5, "hold_in": 6,
                      "hold_out": 7, "clean_plate": 8}  # fmt: skip


def test_the_tabs_are_tool_range_output_farm_info():
    assert [knob.label for knob in shipped().user if knob.number == TAB] == ["Tool", "Range", "Output", "Farm", "Info"]


def test_every_parameter_of_the_tool_is_on_the_panel_with_its_own_words():
    from sfumato_nuke.draw import knob_name

    from sfumato_plugins.tools.matte import MATTE

    knobs = {knob.name: knob for knob in shipped().user}
    for parameter in MATTE.parameters:
        name = knob_name(MATTE, parameter)
        found = knobs.get(name) or knobs[f"{name}_{parameter.options[0]}"]
        assert parameter.help[1:].rstrip(".") in found.tooltip


def test_inside_are_only_nodes_that_nuke_has_itself():
    stock = {"Input", "Output", "Read", "Write", "Switch", "Expression", "MergeExpression", "Dilate", "FilterErode",
             "Grade", "Copy", "Crop", "Premult", "Unpremult"}  # fmt: skip
    assert {inner.kind for inner in shipped().nodes} == stock


def test_writes_inside_are_off_and_reads_of_results_are_raw_and_never_localised():
    for inner in shipped().nodes:
        if inner.kind == "Write":
            assert inner.knobs["disable"] == "true"
            assert inner.knobs["raw"] == "true"
            assert inner.knobs["compression"] == "Zip (1 scanline)"
        if inner.kind == "Read":
            assert inner.knobs["raw"] == "true"
            assert inner.knobs["localizationPolicy"] == "off"


def test_buttons_only_import_and_call_inside_a_try():
    buttons = [knob for knob in shipped().user if knob.number == 22]
    assert {b.name for b in buttons} == {
        "run_here", "solve_frame", "cancel", "load_version", "reveal", "send_to_farm", "update_status", "release_gpu",
    }  # fmt: skip
    for knob in buttons:
        (attempt,) = ast.parse(knob.text).body
        assert [type(line) for line in attempt.body] == [ast.Import, ast.Expr]
        assert f'press("{knob.name}", nuke.thisNode())' in knob.text


def test_without_sfumato_a_button_says_so_and_does_not_raise(session, monkeypatch):
    (node,) = session.load(TEXT)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(NUKE)])
    session.press(node, "run_here")
    (message,) = session.messages
    assert "No module named 'sfumato_nuke'" in message
    assert "NUKE_PATH" in message


def test_knobs_that_wait_for_others_are_grey_until_then(session, node):
    assert not node["matte_despill_strength"].enabled()
    assert not node["frames"].enabled()
    assert node["matte_layers_fg"].enabled()
    node["matte_despill"].setValue("green")
    node["matte_alpha_only"].setValue(True)
    session.press(node, "cancel")
    assert node["matte_despill_strength"].enabled()
    assert not node["matte_layers_fg"].enabled()


OTHER = {"Choice": lambda p: p.options[-1], "Switch": lambda p: not p.default, "Several": lambda p: [p.options[-1]],
         "Number": lambda p: p.high / 2 + 0.25, "Whole": lambda p: p.default + 1}  # fmt: skip


def test_every_knob_of_a_parameter_reaches_the_job(session, node):
    from sfumato_nuke.draw import knob_name, of_parameter
    from sfumato_nuke.knobs import parameters

    from sfumato_plugins.tools.matte import MATTE

    assert parameters(node, MATTE) == {}
    wanted = {}
    for parameter in MATTE.parameters:
        value = wanted[parameter.name] = OTHER[type(parameter).__name__](parameter)
        if isinstance(value, list):
            for knob in of_parameter(MATTE, parameter):
                node[knob.name].setValue(knob.name.rpartition("_")[2] in value)
        else:
            node[knob_name(MATTE, parameter)].setValue(value)
    found = parameters(node, MATTE)
    assert found == {name: value for name, value in wanted.items()}
    assert not MATTE.parameter_problems(found)


def test_an_animated_parameter_is_refused_in_a_sentence(session, node):
    node["matte_erode"].setAnimated()
    node.setInput(0, session.make("Read"))
    session.press(node, "run_here")
    assert "matte_erode is animated" in session.messages[0]


def test_a_node_of_a_newer_sfumato_is_refused_and_left_alone(session, node):
    node["sfumato_version"].setValue("99")
    session.press(node, "update_status")
    assert "was made by a newer sfumato" in session.messages[0]
    assert node["sfumato_version"].value() == "99"


def test_an_old_node_is_brought_up_step_by_step_and_gets_the_knobs_it_lacks(session, node):
    from sfumato_nuke.migrate import bring_up

    from sfumato_plugins.tools.matte import MATTE

    del node._knobs["band_opacity"]
    done = []
    steps = {2: lambda n: done.append(2), 4: lambda n: done.append(4), 1: lambda n: done.append(1)}
    bring_up(node, MATTE, steps, layout=4)
    assert done == [2, 4]
    assert node["sfumato_version"].value() == "4"
    assert node["band_opacity"].value() == 0.5
    bring_up(node, MATTE, steps, layout=4)
    assert done == [2, 4]


def test_nuke_touched_from_a_thread_would_be_seen(session, node):
    import threading

    seen = []

    def reader():
        try:
            node["status"].setValue("from a thread")
        except RuntimeError as error:
            seen.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    thread.join()
    assert len(seen) == 1
