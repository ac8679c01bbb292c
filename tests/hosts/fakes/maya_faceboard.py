"""A rig as facial TDs make them: a faceboard of controls in a namespace, and a blend shape with holes and aliases."""

import math

from .maya_scene import Attr

SLIDERS = 40  # custom attributes, held to 0..1
SHAPES = {0: "browUp", 1: "browDown", 4: "cheekPuff", 7: "lipPress"}  # holes at 2, 3, 5, 6


def build(maya, namespace="hero"):
    """Build it; gives the targets without a namespace: 40 sliders, 3 sticks (x, y), 4 shapes, a jaw that turns: 52."""
    make, space = maya.commands_of_scene.make, f"{namespace}:" if namespace else ""
    board = make("transform", f"{space}faceboard")
    targets = []
    face = make("transform", f"{space}face_ctrl", board)
    for at in range(SLIDERS):
        maya.cmds.addAttr(face.name, longName=f"slider{at:02d}", attributeType="double", minValue=0.0, maxValue=1.0)
        targets.append(f"face_ctrl.slider{at:02d}")
    for name in ("brow", "mouth", "eyes"):
        stick = make("transform", f"{space}{name}_ctrl", board)
        for axis in "XY":
            for end, value in (("min", -1.0), ("max", 1.0)):
                stick.attrs[f"{end}Trans{axis}Limit"].value = value
                stick.attrs[f"{end}Trans{axis}LimitEnable"].value = True
            targets.append(f"{name}_ctrl.translate{axis}")
    make("transform", f"{space}jaw_ctrl", board)
    targets += ["jaw_ctrl.rotateX", "jaw_ctrl.rotateY"]
    shape = make("blendShape", f"{space}face_bs")
    for index, alias in SHAPES.items():
        shape.attrs[f"weight[{index}]"] = Attr(shape, f"weight[{index}]", "w", keyable=True)
        shape.attrs[f"weight[{index}]"].alias = alias
        targets.append(f"face_bs.{alias}")
    maya.queue.done.clear()
    return targets


def take(targets, count=500, fps=24.0, first=1001):
    """JSON of curves for these targets: smooth, within every limit, each column its own."""
    angles = [target.rpartition(".")[2].startswith("rotate") for target in targets]

    def value(column, row):
        wave = 0.5 + 0.45 * math.sin(0.05 * row + column)
        return wave * 20 if angles[column] else wave

    frames = [first + row for row in range(count)]
    values = [[value(column, row) for column in range(len(targets))] for row in range(count)]
    return {"schema": "sfumato.curves/1", "fps": fps, "frames": frames, "names": list(targets), "values": values}
