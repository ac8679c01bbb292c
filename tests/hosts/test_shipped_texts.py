"""Every text that a host reads from us parses as the host parses it, and keeps our conventions."""

import pathlib
import re

import pytest
from parsers import ma, mod, nk

ROOT = pathlib.Path(__file__).resolve().parents[2]
NK = sorted(path for end in ("nk", "gizmo") for path in (ROOT / "nuke").rglob(f"*.{end}"))
TAB, DIVIDER, BUTTON = 20, 26, 22
PLACE = re.compile(r"(?<![\w.])(/(?:home|root|usr|mnt|tmp|work|Users)\b|[A-Za-z]:[\\/])")


def built():
    """(name, text) of the node of every tool, made anew from the tools' declarations."""
    sys_path_nuke()
    from sfumato_nuke.design import design
    from sfumato_nuke.text import as_text

    from sfumato_plugins import NODES

    return [(design(tool).name, as_text(design(tool))) for tool in NODES]


def sys_path_nuke():
    import sys

    if str(ROOT / "nuke") not in sys.path:
        sys.path.append(str(ROOT / "nuke"))


TEXTS = [pytest.param(path.read_text(encoding="utf-8"), id=path.name) for path in NK]
TEXTS += [pytest.param(text, id=f"{name}, built") for name, text in built()]


@pytest.fixture(autouse=True)
def tcl():
    pytest.importorskip("tkinter", reason="this Python was built without Tcl, which reads Nuke's text")


@pytest.mark.parametrize("text", TEXTS)
def test_a_node_is_one_group_with_a_prefixed_name_and_no_header(text):
    (group,) = nk.parse(text)
    assert text.startswith("Group {")
    assert group.kind == "Group"
    assert group.name.lower().startswith("sfumato")
    assert not {"xpos", "ypos", "selected"} & set(group.knobs)
    assert "\r" not in text
    assert "\t" not in text


@pytest.mark.parametrize("text", TEXTS)
def test_no_path_of_some_machine_is_in_it(text):
    assert not PLACE.search(text)


@pytest.mark.parametrize("text", TEXTS)
def test_every_knob_has_a_tooltip_and_a_name_that_stays(text):
    (group,) = nk.parse(text)
    names = [knob.name for knob in group.user]
    assert len(set(names)) == len(names)
    for knob in group.user:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", knob.name), knob
        assert knob.number in (TAB, DIVIDER) or knob.tooltip, knob.name
    assert "sfumato_version" in names


@pytest.mark.parametrize("text", TEXTS)
def test_everything_inside_is_stock_nuke_and_wired(text):
    """So the script opens and renders where sfumato is not installed."""
    from fakes.strict import Table

    (group,) = nk.parse(text)
    stock = {name.rpartition(".")[2] for name in Table.load("nuke").members("nuke.nodes")}
    assert {node.kind for node in group.all()} <= stock
    assert [node for node in group.nodes if node.kind == "Output"]
    names = [node.name for node in group.all()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("text", TEXTS)
def test_a_button_only_imports_us_and_calls_one_function(text):
    import ast

    (group,) = nk.parse(text)
    for knob in group.user:
        if knob.number == BUTTON:
            (guarded,) = ast.parse(knob.text).body
            assert isinstance(guarded, ast.Try)
            assert [type(line) for line in guarded.body] == [ast.Import, ast.Expr], knob.text


@pytest.mark.parametrize("path", NK, ids=lambda path: path.name)
def test_what_is_shipped_is_what_the_declarations_make_today(path):
    assert path.read_text(encoding="utf-8") in [text for _, text in built()]


def test_the_module_file_says_where_maya_finds_us():
    (module,) = mod.parse((ROOT / "maya" / "sfumato.mod").read_text(encoding="utf-8"))
    assert module.name == "sfumato"
    assert ("PYTHONPATH", "+:=", "../plugins") in module.variables
    for name, op, value in module.variables:
        assert op != "+:=" or (ROOT / "maya" / module.path / value).is_dir(), name
    engine = (ROOT / "engine" / "sfumato" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{module.version}"' in engine


TIMES = (1001.0, 1002.0, 1005.5)
VALUES = {"ns:jaw.tx": (0.0, 0.5, 1e-9), "ns:jaw.rotateY": (-0.25, 0.125, 1234.5678), "|a|ns:lid_L.blink": (1, 0, 1)}
KINDS = dict(zip(VALUES, ("distance", "angle", "number"), strict=True))


@pytest.mark.parametrize("connect", [True, False])
def test_maya_ascii_of_curves_is_read_back_as_it_was(connect):
    from sfumato_plugins.control_map import Driven
    from sfumato_plugins.curves_maya_files import ma_text

    driven = [Driven(target, KINDS[target], tuple(map(float, values))) for target, values in VALUES.items()]
    text = ma_text(driven, TIMES, 24.0, connect=connect)
    read = ma.parse(text)
    by_target = {curve.attributes["sfumatoTarget"][0]: curve for curve in read.values()}
    assert list(by_target) == list(VALUES)
    for target, curve in by_target.items():
        assert [key[0] for key in curve.keys] == list(TIMES)
        assert [key[1] for key in curve.keys] == pytest.approx(list(VALUES[target]), rel=1e-12)
        assert curve.kind == {"distance": "animCurveTL", "angle": "animCurveTA", "number": "animCurveTU"}[KINDS[target]]
        assert curve.name.isidentifier()
        assert curve.drives == (target if connect else "")
    assert not PLACE.search(text)
