"""Every host name and call in nuke/ and maya/ is in the table of host calls, whether or not a test runs the line."""

import json
import pathlib

import pytest
from fakes import strict
from fakes.inference import TABLES
from fakes.walk import Walk

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = sorted(path for host in ("nuke", "maya") for path in (ROOT / host).rglob("*.py"))


@pytest.fixture(scope="module")
def walk():
    return Walk()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_host_name_and_call_is_in_the_table(walk, path):
    problems = walk.problems(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    print(f"{walk.seen} uses of the host checked")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("table", TABLES)
def test_no_signature_in_the_tables_takes_just_anything(table):
    opaque = [
        f"{entry.name}{text}"
        for entry in strict.Table.load(table).entries.values()
        for text in entry.signatures
        if "*args" in text and "**kwargs" in text and entry.name not in ARBITRARY
    ]
    assert not opaque


ARBITRARY = {"maya.utils.executeDeferred", "maya.utils.executeInMainThreadWithResult"}  # they hand them on


@pytest.mark.parametrize("table", TABLES)
def test_a_table_holds_only_what_we_use(table):
    from fakes.api import make

    assert make.unused(make.wanted(make.HERE / f"{table}.wanted")) == []


def test_every_reading_of_our_own_names_its_page():
    overrides = json.loads((ROOT / "tests/hosts/fakes/api/overrides.json").read_text(encoding="utf-8"))
    assert all(page["page"].startswith("https://") and page["names"] for page in overrides)


WRONG = {
    "an unknown function": "nuke.creatNode('Read')",
    "an unknown node class": "nuke.createNode('Raed')",
    "a missing argument": "nuke.toNode()",
    "an argument too many": "nuke.root().name('x')",
    "an unknown keyword": "nuke.createNode('Read', inpanl=False)",
    "a method of a returned node": "nuke.thisNode().setXps(1)",
    "a method of a node in a loop": "for node in nuke.allNodes('Read'):\n    node.setSlected(True)",
    "a knob's method": "nuke.thisNode()['file'].setVal('x')",
    "a constant": "nuke.thisNode()['x'].setFlag(nuke.DO_NOT_WRIT)",
    "a method of a parameter": "def f(node: 'nuke.Node') -> None:\n    node['x'].setTooltp('')",
    "an annotation": "def f(plug: om.MPlugg) -> None: ...",
    "a method of who knows what": "def f(node):\n    node.setXYpso(1, 2)",
    "its arity": "def f(node):\n    node.setXYpos(1)",
    "an attribute put on the host": "nuke.busy = True",
    "code in a button": "TEXT = 'import sfumato_nuke.run\\nsfumato_nuke.run.start(nuke.thisNod())'",
    "a name imported from it": "from nuke import thisNod",
    "maya's unknown command": "cmds.setKeyfram('a')",
    "maya's unknown flag": "cmds.setKeyframe('a', tme=1)",
    "maya's short flag": "cmds.setKeyframe('a', t=1)",
    "maya's flag by position": "cmds.undoInfo(True)",
    "a class of the API": "om.MSelectionLst()",
    "a method of the API": "om.MSelectionList().getDependNod(0)",
    "the API's arity": "oma.MFnAnimCurve().addKeys([])",
    "a constant of the API": "om.MTime(1.0, om.MTime.uiUnt())",
    "a method of a timer": "QtCore.QTimer().strt(100)",
    "a signal": "QtCore.QTimer().timeot.connect(print)",
    "Python's own": "os.path.jion('a')",
    "our own": "from sfumato_plugins import frames\nframes.parse_frams('1')",
}
HEAD = """\
import os
import nuke
import maya.api.OpenMaya as om
from maya import cmds
from maya.api import OpenMayaAnim as oma
from PySide6 import QtCore
"""


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_the_walk_bites(walk, line):
    assert len(walk.problems(HEAD + line, "x.py")) == 1


RIGHT = [
    "nuke.createNode('Read', 'file x', inpanel=False).setXYpos(1, 2)",
    "with nuke.thisGroup() as group:\n    for node in group.nodes():\n        node['disable'].setValue(True)",
    "read = nuke.nodes.Read(file='x')\nread['file'].evaluate(3)",
    "def f(node):\n    node.setXYpos(1, 2)\n    node.append(3)",
    "cmds.setKeyframe('a', time=1, value=2)\ncmds.ls('a', long=True)",
    "flags = {}\ncmds.ls(*flags, **flags)",
    "om.MSelectionList().add('a')",
    "oma.MFnAnimCurve().addKeys([], [], 2, 2, False, oma.MAnimCurveChange())",
    "class Command(om.MPxCommand):\n    def doIt(self, args):\n        self.change = args.asString(0)",
    "timer = QtCore.QTimer()\ntimer.timeout.connect(print)\ntimer.start(100)",
]


@pytest.mark.parametrize("line", RIGHT)
def test_the_walk_lets_the_right_through(walk, line):
    assert walk.problems(HEAD + line, "x.py") == []
