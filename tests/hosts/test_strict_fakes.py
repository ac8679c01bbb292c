"""The ground under the fake hosts: what is not in the table fails, however it is reached."""

import sys
import threading

import pytest
from fakes import strict

TABLE = strict.Table.load("nuke", "maya_cmds", "maya_api", "qt")


@strict.fakes(TABLE, "nuke.Node")
class Node:
    def __init__(self, name="N"):
        self._name = name

    def name(self):
        return self._name

    def setName(self, name, uncollide=True, updateExpressions=False):
        self._name = name


@strict.fakes(TABLE, "maya.api.OpenMaya.MPxCommand")
class Command:
    def __init__(self):
        pass

    @staticmethod
    def setResult(value):
        return value


@pytest.fixture
def nuke():
    return strict.module("nuke", TABLE, {"toNode": lambda s: Node(s), "GUI": True, "menu": lambda name: name})


def in_a_thread(call):
    """The exception that `call` ends with on another thread."""
    caught = []

    def run():
        try:
            call()
        except BaseException as problem:
            caught.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return caught[0] if caught else None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nuke.toNod('a')", AttributeError),
        ("nuke.toNode()", TypeError),
        ("nuke.toNode('a', 'b')", TypeError),
        ("nuke.createNode('Read', inpanl=True)", TypeError),
        ("nuke.createNode('Read')", NotImplementedError),
        ("nuke.INPUTS", NotImplementedError),
        ("nuke.toNode('a').nam()", AttributeError),
        ("nuke.toNode('a').name(1)", TypeError),
        ("nuke.toNode('a').xpos()", NotImplementedError),
        ("setattr(nuke.toNode('a'), 'busy', True)", AttributeError),
        ("setattr(nuke, 'busy', True)", AttributeError),
        ("nuke.executeInMainThreadWithResult(print)", strict.WrongThread),
    ],
)
def test_a_fake_host_refuses(nuke, line, problem):
    with pytest.raises(problem):
        eval(line)


def test_a_fake_host_answers_what_it_knows(nuke):
    node = nuke.toNode("a")
    node.setName("b", uncollide=False)
    assert (node.name(), nuke.GUI) == ("b", True)
    assert strict.calls(nuke) == [("toNode", ("a",), {})]


def test_touched_from_another_thread_a_fake_host_fails(nuke):
    node, call, method = nuke.toNode("a"), nuke.toNode, nuke.toNode("a").name
    for touch in (lambda: nuke.GUI, lambda: nuke.toNode("a"), lambda: call("a"), lambda: node.name, method):
        assert isinstance(in_a_thread(touch), strict.WrongThread)


def test_the_call_that_hands_over_to_the_main_thread_may_be_made_anywhere(nuke):
    assert isinstance(in_a_thread(lambda: nuke.executeInMainThread(print)), NotImplementedError)
    assert isinstance(in_a_thread(lambda: nuke.executeInMainThreadWithResult(print)), NotImplementedError)


def test_only_the_graphical_host_has_menus():
    terminal = strict.module("nuke", TABLE, {"menu": lambda name: name, "GUI": False}, gui=False)
    with pytest.raises(RuntimeError, match="graphical"):
        terminal.menu("Nuke")
    batch = strict.module("maya.cmds", TABLE, {"window": lambda **_: "w"}, gui=False)
    with pytest.raises(RuntimeError, match="graphical"):
        batch.window(title="x")


def test_a_fake_must_not_invent():
    with pytest.raises(AttributeError, match="toNodde"):
        strict.module("nuke", TABLE, {"toNodde": print})
    with pytest.raises(AttributeError, match="renam"):

        @strict.fakes(TABLE, "nuke.Knob")
        class Knob:
            def renam(self):
                pass


def test_our_own_subclass_of_a_host_class_keeps_its_own_names():
    class Apply(Command):
        def doIt(self, args):
            self.change = args
            return self.setResult(3)

    apply = Apply()
    assert (apply.doIt("x"), apply.change) == (3, "x")
    with pytest.raises(TypeError):
        apply.setResult()
    with pytest.raises(NotImplementedError):
        apply.undoIt()


def test_installed_modules_are_found_by_import_and_gone_after():
    modules = {name: strict.module(name, TABLE, {}) for name in ("maya", "maya.cmds")}
    with strict.installed({**modules, "PySide6": None}):
        import maya.cmds
        from maya import cmds

        assert cmds is maya.cmds is modules["maya.cmds"]
        with pytest.raises(ImportError):
            import PySide6  # noqa: F401
        with pytest.raises(ImportError):
            from maya import cmnds  # noqa: F401
    assert not {"maya", "maya.cmds", "PySide6"} & set(sys.modules)
