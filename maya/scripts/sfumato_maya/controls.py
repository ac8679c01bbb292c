"""A tool's declaration as controls of Maya's own interface: one for every input, output and parameter."""

from __future__ import annotations

import os
import re
from typing import Any, Callable

from maya import cmds

from sfumato_plugins.parameters import Choice, ModelFolder, Number, Parameter, Several, Switch, Whole
from sfumato_plugins.tool import Images

LABEL = 120  # pixels
PLACES = 4  # digits after the point
SLIDES = 1000  # a range up to this wide gets a slider
Reader = Callable[[], Any]


def draw_parameter(parameter: Parameter, prefix: str) -> Reader:
    """Draw one parameter under the current layout; what comes back reads its value."""
    name = f"{prefix}_{parameter.name}"
    for kind, draw in _KINDS:
        if isinstance(parameter, kind):
            return draw(parameter, name)
    return _text(parameter, name)


def _common(item: Any) -> dict[str, Any]:
    return {"label": item.label, "annotation": item.help, "columnWidth": (1, LABEL)}


def _text(parameter: Parameter, name: str) -> Reader:
    made = cmds.textFieldGrp(name, text=str(parameter.default or ""), **_common(parameter))
    return lambda: parameter.read(cmds.textFieldGrp(made, query=True, text=True))


def _folder(parameter: ModelFolder, name: str) -> Reader:
    draw_file(name, parameter.label, parameter.help, written=False, folders=True)
    cmds.textFieldButtonGrp(name, edit=True, text=parameter.default)
    return lambda: cmds.textFieldButtonGrp(name, query=True, text=True).strip()


def _whole(parameter: Whole, name: str) -> Reader:
    if parameter.high - parameter.low > SLIDES:
        made = cmds.intFieldGrp(name, value1=parameter.default, extraLabel=parameter.unit, **_common(parameter))
        return lambda: cmds.intFieldGrp(made, query=True, value1=True)
    span = {"minValue": parameter.low, "maxValue": parameter.high}
    label = {**_common(parameter), "extraLabel": parameter.unit}
    slider = cmds.intSliderGrp(name, field=True, value=parameter.default, **span, **label)
    return lambda: cmds.intSliderGrp(slider, query=True, value=True)


def _number(parameter: Number, name: str) -> Reader:
    if parameter.high - parameter.low > SLIDES:
        flags = {"precision": PLACES, "extraLabel": parameter.unit, **_common(parameter)}
        made = cmds.floatFieldGrp(name, value1=parameter.default, **flags)
        return lambda: _told(parameter, cmds.floatFieldGrp(made, query=True, value1=True))
    span = {"minValue": parameter.low, "maxValue": parameter.high}
    label = {**_common(parameter), "extraLabel": parameter.unit, "precision": PLACES}
    slider = cmds.floatSliderGrp(name, field=True, value=parameter.default, **span, **label)
    return lambda: _told(parameter, cmds.floatSliderGrp(slider, query=True, value=True))


def _told(parameter: Number, value: float) -> float:
    """What a field of limited precision says; the default, to its last digit, where that was not touched."""
    near = round(value, PLACES) == round(parameter.default, PLACES)
    return float(parameter.default) if near else round(value, PLACES)


def _choice(parameter: Choice, name: str) -> Reader:
    made = cmds.optionMenuGrp(name, **_common(parameter))
    for option in parameter.options:
        cmds.menuItem(label=option, parent=f"{made}|OptionMenu")
    cmds.optionMenuGrp(made, edit=True, value=parameter.default)
    return lambda: cmds.optionMenuGrp(made, query=True, value=True)


def _several(parameter: Several, name: str) -> Reader:
    cmds.rowLayout(numberOfColumns=len(parameter.options) + 1, columnWidth=(1, LABEL))
    cmds.text(label=parameter.label, align="right", width=LABEL, annotation=parameter.help)
    boxes = {
        option: cmds.checkBox(f"{name}_{option}", label=option, value=option in parameter.default)
        for option in parameter.options
    }
    cmds.setParent("..")
    return lambda: [option for option, box in boxes.items() if cmds.checkBox(box, query=True, value=True)]


def _switch(parameter: Switch, name: str) -> Reader:
    label = {"label": "", "label1": parameter.label, "annotation": parameter.help, "columnWidth": (1, LABEL)}
    made = cmds.checkBoxGrp(name, numberOfCheckBoxes=1, value1=parameter.default, **label)
    return lambda: cmds.checkBoxGrp(made, query=True, value1=True)


_KINDS: tuple[tuple[type[Parameter], Callable[[Any, str], Reader]], ...] = (
    (Whole, _whole),
    (Number, _number),
    (Choice, _choice),
    (Several, _several),
    (Switch, _switch),
    (ModelFolder, _folder),
)


def draw_images(images: Images, prefix: str, *, written: bool) -> Reader:
    """Draw the field for a file or a sequence, with a button that asks for it."""
    name = f"{prefix}_{images.name}"
    numbered = images.picture or not (images.holds or images.folder or images.inside)
    label = images.label + (" *" if images.required else "")
    help = images.help + ("; #### is the frame number" if numbered else "")
    meant = pattern_of if numbered else str
    draw_file(name, label, help, written=written, folders=bool(images.inside), meant=meant)
    return lambda: cmds.textFieldButtonGrp(name, query=True, text=True).strip()


def draw_file(
    name: str,
    label: str,
    help: str,
    *,
    written: bool,
    files: str = "All files (*.*)",
    folders: bool = False,
    meant: Callable[[str], str] = str,
) -> None:
    """A text field, and beside it a button that asks for a file to read or write, or for a folder.

    files: What the dialog shows. meant: From what was picked to what the field says.
    """

    def ask(*_: Any) -> None:
        mode = 3 if folders else 0 if written else 1
        picked = cmds.fileDialog2(caption=label.rstrip(" *"), fileMode=mode, fileFilter=files)
        if picked:  # None when the artist thinks better of it
            cmds.textFieldButtonGrp(name, edit=True, text=meant(picked[0]))

    flags = {"buttonLabel": "...", "columnWidth": (1, LABEL), "adjustableColumn": 2}
    cmds.textFieldButtonGrp(name, label=label, annotation=help, buttonCommand=ask, **flags)


def pattern_of(path: str) -> str:
    """plate.####.exr for plate.1001.exr: what was picked is one frame of it."""
    folder, name = os.path.split(path)
    return os.path.join(folder, re.sub(r"(?<=[._])\d+(?=\.\w+$)", lambda m: "#" * len(m[0]), name))
