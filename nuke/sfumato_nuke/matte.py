"""What a matte's node adds: the unknown band over the plate, live; the solved edge, tweaked without a solve."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sfumato_nuke.inside import frame_shown
from sfumato_nuke.panel import SHOW, arrows
from sfumato_nuke.parts import Expr, Inside, Knob
from sfumato_plugins.tools.matte import MATTE

SHOWN = (*SHOW[:3], "unknown band", *SHOW[3:])
NUMBER = {item.name: i for i, item in enumerate(arrows(MATTE))}
PREMULTIPLIED, STRAIGHT, LAYER, ALONE = range(4)
"""How a result holds the foreground's colour: RGB x A, RGB as it is, in the layer fg, or not at all (alpha only)."""
BAND = "trimap_moved"
"""The node whose picture is the trimap once it was grown or shrunk."""

LIVE = (
    Knob("divider", "band_divider", "Unknown band", "Between what is surely inside and surely outside. Live."),
    Knob(
        "choice", "trimap_from", "Trimap from", "Which channels of the trimap's arrow hold it.", "rgb", ("rgb", "alpha")
    ),
    Knob(
        "number",
        "band_inward",
        "Grow inward",
        "Widen the band into the foreground, in pixels; less than 0 narrows"
        " it. For a trimap, and for a roto beside its Erode.",
        0.0,
        low=-20,
        high=20,
    ),
    Knob(
        "number",
        "band_outward",
        "Grow outward",
        "Widen the band into the background, in pixels; less than 0 narrows"
        " it. For a trimap, and for a roto beside its Dilate.",
        0.0,
        low=-20,
        high=20,
    ),
    Knob(
        "number",
        "band_opacity",
        "Overlay",
        "How red the band is in 'unknown band'. It is drawn before garbage,"
        " holdout and strokes, and round a roto in squares where the solve uses discs.",
        0.5,
        low=0,
        high=1,
    ),
    Knob("divider", "after_divider", "After the solve", "Nuke's own nodes behind the result; nothing is solved again."),
    Knob("number", "after_black", "Black point", "Alpha up to here becomes 0.", 0.0, low=0, high=0.5),
    Knob("number", "after_white", "White point", "Alpha from here on becomes 1.", 1.0, low=0.5, high=1),
    Knob("number", "after_gamma", "Edge gamma", "Above 1 the edge gets fuller, below 1 thinner.", 1.0, low=0.2, high=5),
    Knob(
        "number",
        "after_erode",
        "Erode",
        "Shrink the alpha by this many pixels; less than 0 grows it.",
        0.0,
        low=-10,
        high=10,
    ),
    Knob(
        "choice",
        "after_despill",
        "Despill",
        "Take screen colour out of the foreground.",
        "off",
        ("off", "green", "blue"),
    ),
    Knob(
        "number",
        "after_despill_amount",
        "Amount",
        "How much of the spill goes.",
        1.0,
        low=0,
        high=1,
        when=("after_despill", ("green", "blue")),
    ),
)


def band() -> list[Inside]:
    """What is surely inside and what may be, from whichever arrow says where the edge is, moved by the knobs; the
    trimap they make; and the overlay. Both are 0 where a picture has no pixels: a small bounding box is no edge.
    """
    trimap, roto = (f"[exists parent.input{NUMBER[name]}]" for name in ("trimap", "roto"))
    which = Expr(f"{trimap} ? 0 : {roto} ? 1 : 2")
    picked = "(parent.trimap_from == 1 ? a : r)"
    found = [
        Inside("Expression", "trimap_inside", ("trimap",), {"expr3": f"{picked} >= 0.98"}, at=(1, 2)),
        Inside("Expression", "roto_inside", ("roto",), {"expr3": "a >= 0.98"}, at=(2, 2)),
        Inside("Expression", "core_inside", ("core",), {"expr3": "a >= 0.98"}, at=(3, 2)),
        Inside("Expression", "trimap_possible", ("trimap",), {"expr3": f"{picked} > 0.02"}, at=(4, 2)),
        Inside("Expression", "roto_possible", ("roto",), {"expr3": "a > 0.02"}, at=(5, 2)),
        Inside("MergeExpression", "garbage_possible", ("plate", "garbage"), {"expr3": "Aa < 0.98"}, at=(6, 2)),
    ]
    for column, side, sign, knob, parameter in (
        (1, "inside", "0 - ", "band_inward", "matte_erode"),
        (4, "possible", "", "band_outward", "matte_dilate"),
    ):
        names = tuple(inner.name for inner in found if inner.name.endswith(f"_{side}"))
        size = Expr(f"{sign}({trimap} ? parent.{knob} : {roto} ? parent.{knob} + parent.{parameter} : 0)")
        found.append(Inside("Switch", side, names, {"which": which}, at=(column, 3)))
        knobs = {"channels": "alpha", "size": size}
        found.append(Inside("Dilate", f"{side}_moved", (side,), knobs, at=(column, 4)))
    grey = {f"expr{i}": "Ba > 0.5 ? (Aa > 0.5 ? 1 : 0.5) : 0" for i in range(4)}
    shade = "(Ar > 0.25 && Ar < 0.75) * parent.band_opacity"
    red = {"expr0": f"Br + {shade} * (1 - Br)", "expr1": f"Bg * (1 - {shade})", "expr2": f"Bb * (1 - {shade})"}
    found.append(Inside("MergeExpression", BAND, ("possible_moved", "inside_moved"), grey, at=(2, 5)))
    found.append(Inside("MergeExpression", "band_over", ("plate", BAND), {**red, "expr3": "Aa"}, at=(2, 6)))
    return found


def finish() -> list[Inside]:
    """From the result's Read to what is passed on: straight colour, alpha tweaked, colour times alpha."""
    form = f"{frame_shown(SHOWN)} ? parent.frame_form : parent.result_form"
    layer = {
        f"{end}{i}": f"{where}{colour}"
        for i, colour in enumerate(("red", "green", "blue"))
        for end, where in (("from", "fg."), ("to", "rgba."))
    }
    spill = "max(0, {0} - (r + {1}) / 2)"
    amount = "parent.after_despill_amount"
    despill = {
        "expr1": f"parent.after_despill == 1 ? g - {amount} * {spill.format('g', 'b')} : g",
        "expr2": f"parent.after_despill == 2 ? b - {amount} * {spill.format('b', 'g')} : b",
    }
    grade = {
        "channels": "alpha",
        "blackpoint": Expr("parent.after_black"),
        "whitepoint": Expr("parent.after_white"),
        "gamma": Expr("parent.after_gamma"),
        "white_clamp": True,
    }
    erode = {"channels": "alpha", "size": Expr("parent.after_erode")}
    alpha = {"from0": "rgba.alpha", "to0": "rgba.alpha"}
    seen = {f"expr{i}": "a" for i in range(3)}
    return [
        Inside("Unpremult", "from_premultiplied", ("solved",), at=(-7, 11)),
        Inside("Copy", "from_layer", ("solved", "solved"), layer, {"fg": ("red", "green", "blue")}, at=(-6, 11)),
        Inside("Copy", "from_plate", ("plate", "solved"), alpha, at=(-5, 11)),
        Inside(
            "Switch",
            "straight",
            ("from_premultiplied", "solved", "from_layer", "from_plate"),
            {"which": Expr(form)},
            at=(-6, 12),
        ),
        Inside("Grade", "points_and_gamma", ("straight",), grade, at=(-6, 13)),
        Inside("FilterErode", "erode", ("points_and_gamma",), erode, at=(-6, 14)),
        Inside("Expression", "despill", ("erode",), despill, at=(-6, 15)),
        Inside("Premult", "finished", ("despill",), at=(-6, 16)),
        Inside("Expression", "matte_view", ("finished",), seen, at=(-5, 17)),
    ]


def moves_band(node: Any) -> bool:
    """Whether the knobs of the unknown band make the trimap another picture than the one at its arrow."""
    return bool(node["band_inward"].value() or node["band_outward"].value() or node["trimap_from"].value() == "alpha")


def widened(node: Any, params: dict[str, Any], inputs: Collection[str]) -> dict[str, Any]:
    """A job's parameters with the band's knobs in them, where it is drawn from a roto."""
    if "roto" not in inputs:
        return params
    moved = dict(params)
    for name, knob in (("erode", "band_inward"), ("dilate", "band_outward")):
        if by := float(node[knob].value()):
            default = next(p.default for p in MATTE.parameters if p.name == name)
            moved[name] = max(0.0, params.get(name, default) + by)
    return moved


def form(params: Mapping[str, Any], outputs: str) -> int:
    """How a result with these parameters and this file pattern holds the foreground's colour."""
    values = {p.name: params.get(p.name, p.default) for p in MATTE.parameters}
    if values["alpha_only"]:
        return ALONE
    if "fg" in values["layers"] and "{layer}" not in outputs:
        return LAYER
    return STRAIGHT if values["rgb"] == "straight" else PREMULTIPLIED
