"""The parsers read what hosts read, and refuse what hosts refuse."""

import pytest
from parsers import ma, mod, nk

GROUP = """\
Group {
 inputs 2
 name sfumato_Matte1
 addUserKnob {20 tool l Tool}
 addUserKnob {7 soft l "Softness" t "How soft" R 0 10}
 soft 2.5
 addUserKnob {4 mode t Mode M {one two "three four"}}
 addUserKnob {22 go l Go t "Start it" -STARTLINE T "import a\\na.b(\\"c\\")"}
}
 Input {
  inputs 0
  name plate
 }
set N1 [stack 0]
 Input {
  inputs 0
  name trimap
  number 1
 }
push $N1
 Switch {
  inputs 2
  which {{"parent.mode == 2"}}
  name pick
 }
 Output {
  name Output1
 }
end_group
"""


@pytest.fixture
def tcl():
    return pytest.importorskip("tkinter", reason="this Python was built without Tcl").Tcl()


@pytest.mark.usefixtures("tcl")
def test_a_group_is_read_with_its_knobs_and_wires():
    (group,) = nk.parse(GROUP)
    assert (group.kind, group.name, group.knobs["soft"]) == ("Group", "sfumato_Matte1", "2.5")
    tab, soft, mode, go = group.user
    assert (tab.number, soft.range, soft.tooltip, mode.items[2]) == (20, (0, 10), "How soft", "three four")
    assert (go.text, go.flags) == ('import a\na.b("c")', ("-STARTLINE",))
    plate, trimap, pick, output = group.nodes
    assert [node.name for node in pick.inputs] == [plate.name, trimap.name]
    assert output.inputs == [pick]


BROKEN_NK = {
    "a missing brace": GROUP.replace("}\n Input", "\n Input", 1),
    "a knob without a value": GROUP.replace(" number 1", " number"),
    "an open group": GROUP.replace("end_group\n", ""),
    "a group closed twice": GROUP + "end_group\n",
    "an unset variable": GROUP.replace("push $N1", "push $N2"),
    "a program": GROUP + "exec touch /tmp/x\n",
    "a program in brackets": GROUP.replace("name Output1", "name [exec touch x]") + "set a [exec ls]\n",
    "a file": GROUP + "set f [open /etc/passwd]\n",
    "a stack too deep": "set N [stack 0]\n",
    "an odd user knob": GROUP.replace("R 0 10", "Q 0 10"),
    "an endless loop": "while 1 {}\n",
}


@pytest.mark.usefixtures("tcl")
@pytest.mark.parametrize("text", BROKEN_NK.values(), ids=BROKEN_NK)
def test_broken_nuke_text_is_refused(text):
    with pytest.raises(nk.NukeTextError):
        nk.parse(text)


MA = """\
//Maya ASCII 2023 scene
requires maya "2023";
currentUnit -l centimeter -a degree -t film;
createNode animCurveTU -n "jaw_open";
\tsetAttr ".tan" 2;
\tsetAttr -s 2 ".ktv[0:1]"  1001 0 1002 0.5;
connectAttr "jaw_open.o" "face:ctrl.jawOpen";
// End of x.ma
"""


def test_maya_ascii_is_read():
    curve = ma.parse(MA)["jaw_open"]
    assert (curve.kind, curve.keys, curve.drives) == ("animCurveTU", [(1001, 0), (1002, 0.5)], "face:ctrl.jawOpen")
    assert curve.attributes["tan"] == ["2"]


BROKEN_MA = {
    "no first line": MA.replace("//Maya ASCII", "//Maya"),
    "an open string": MA.replace('"jaw_open";', '"jaw_open;'),
    "no semicolon": MA.replace("0.5;", "0.5").replace('connectAttr "jaw_open.o" "face:ctrl.jawOpen";', ""),
    "a value short": MA.replace(" 0.5;", ";"),
    "a size too small": MA.replace("-s 2", "-s 1"),
    "an unknown command": MA.replace("currentUnit", "python"),
    "an unknown node type": MA.replace("animCurveTU", "script"),
    "the same name twice": MA + 'createNode animCurveTU -n "jaw_open";\n',
    "an attribute of nothing": MA.replace("createNode", "// createNode"),
    "a wire from nothing": MA.replace('"jaw_open.o"', '"jaw_opn.o"'),
}


@pytest.mark.parametrize("text", BROKEN_MA.values(), ids=BROKEN_MA)
def test_broken_maya_ascii_is_refused(text):
    with pytest.raises(ma.MayaTextError):
        ma.parse(text)


def test_a_module_file_is_read():
    text = "+ MAYAVERSION:2025 PLATFORM:linux tool 1.0 ./here or there\nPYTHONPATH +:= ../plugins\nscripts: py\nA=b\n"
    (module,) = mod.parse("// ours\n" + text)
    assert (module.name, module.version, module.path) == ("tool", "1.0", "./here or there")
    assert module.conditions == {"MAYAVERSION": "2025", "PLATFORM": "linux"}
    assert module.variables == [("PYTHONPATH", "+:=", "../plugins"), ("A", "=", "b")]
    assert module.folders == {"scripts": "py"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sfumato 1.0 .\n",
        "+sfumato 1.0 .\n",
        "+ sfumato .\n",
        "+ OS:linux sfumato 1.0 .\n",
        "PYTHONPATH = x\n+ sfumato 1.0 .\n",
        "+ sfumato 1.0 .\nPYTHONPATH :+= ../plugins\n",
        "+ sfumato 1.0 .\nshelves: x\n",
        "+ sfumato 1.0 .\nscripts:x\n",
        "+ sfumato 1.0 .\nA readme.\n",
    ],
)
def test_a_broken_module_file_is_refused(text):
    with pytest.raises(mod.ModuleFileError):
        mod.parse(text)
