"""Curves as files that Maya reads without any plug-in of ours: .anim (animImportExport) and Maya ASCII.

One key a frame with linear tangents, so that what is between the keys does not depend on anybody's tangent code. Both
files say degrees, centimetres and their time unit in their heads; Maya converts to the scene's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sfumato_plugins.control_map import Driven
from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.takes import exact_fps, plain

_NAMED: Mapping[float, str] = {15: "game", 24: "film", 25: "pal", 30: "ntsc", 48: "show", 50: "palf", 60: "ntscf"}
_WHOLE = (
    *(2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 40, 75, 80, 90, 100, 120, 125, 150, 200, 240, 250, 300, 375, 400, 500, 600),
    *(750, 1200, 1500, 2000, 3000, 6000, 44100, 48000),
)
UNITS: Mapping[float, str] = {
    **_NAMED,
    **{n: f"{n}fps" for n in _WHOLE},
    **{n * 1000 / 1001: f"{n * 1000 / 1001:.5g}fps" for n in (24, 30, 48, 60)},
}
_CURVES = {"number": "animCurveTU", "distance": "animCurveTL", "angle": "animCurveTA"}
_OUTPUTS = {"number": "unitless", "distance": "linear", "angle": "angular"}
_LONG = {"t": "translate", "r": "rotate", "s": "scale"}


def time_unit(fps: float) -> str:
    """Maya's name for a rate.

    Raises:
        JobError: Maya has none for it (exit 2).
    """
    unit = UNITS.get(exact_fps(fps))
    if unit is None:
        raise JobError(Problem("fps", f"Maya has no time unit of {fps:g} frames a second", "convert with --fps 24"))
    return unit


def anim_text(
    driven: Sequence[Driven], times: Sequence[float], fps: float, *, kept: Mapping[str, Sequence[int]] | None = None
) -> str:
    """A .anim file; `times` are in frames of `fps`, one for each value. Namespaces are part of the targets.

    kept: The values that become keys, by target; default: all.

    Raises:
        JobError: Maya has no time unit for the rate (exit 2).
    """
    head = [
        "animVersion 1.1;",
        "mayaVersion 2022;",
        f"timeUnit {time_unit(fps)};",
        "linearUnit cm;",
        "angularUnit deg;",
        f"startTime {_number(times[0])};",
        f"endTime {_number(times[-1])};",
    ]
    nodes: dict[str, list[Driven]] = {}
    for one in driven:
        nodes.setdefault(_node(one.target), []).append(one)
    for node, mine in nodes.items():
        for count, one in enumerate(mine):
            head += _anim_curve(node, count, one, times, _rows(one, kept))
    return "\n".join(head) + "\n"


def _anim_curve(node: str, count: int, one: Driven, times: Sequence[float], rows: Sequence[int]) -> Iterator[str]:
    """`anim FULL LEAF NODE depth children index;` and its keys."""
    leaf = long_name(one.target.partition(".")[2])
    compound = re.fullmatch(r"(translate|rotate|scale)[XYZ]", leaf)
    full = f"{compound[1]}.{leaf}" if compound else leaf
    yield f"anim {full} {leaf} {node} 0 0 {count};"
    yield "animData {"
    yield "  input time;"
    yield f"  output {_OUTPUTS[one.kind]};"
    yield "  weighted 0;"
    yield "  preInfinity constant;"
    yield "  postInfinity constant;"
    yield "  keys {"
    for row in rows:
        yield f"    {_number(times[row])} {_number(one.values[row])} linear linear 1 1 0;"
    yield "  }"
    yield "}"


def ma_text(
    driven: Sequence[Driven],
    times: Sequence[float],
    fps: float,
    *,
    connect: bool = False,
    kept: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """A Maya ASCII scene of animCurve nodes named after what they drive.

    kept: The values that become keys, by target; default: all.
    connect: Also connect them, for a scene into which the rig is referenced under the names in the targets.

    Raises:
        JobError: Maya has no time unit for the rate (exit 2).
    """
    lines = ["//Maya ASCII 2022 scene", "//Codeset: UTF-8", 'requires maya "2022";']
    lines.append(f"currentUnit -l centimeter -a degree -t {time_unit(fps)};")
    lines.append('fileInfo "application" "sfumato";')
    names = curve_names([one.target for one in driven])
    for one in driven:
        lines.append(f'createNode {_CURVES[one.kind]} -n "{names[one.target]}";')
        lines.append('\taddAttr -ci true -sn "sfumatoTarget" -ln "sfumatoTarget" -dt "string";')
        lines += ['\tsetAttr ".tan" 2;', '\tsetAttr ".wgt" no;']
        rows = _rows(one, kept)
        lines += _keys([times[row] for row in rows], [one.values[row] for row in rows])
        lines.append(f'\tsetAttr ".sfumatoTarget" -type "string" "{one.target}";')
    if connect:
        lines += [f'connectAttr "{names[one.target]}.o" "{one.target}";' for one in driven]
    return "\n".join([*lines, "// End of curves", ""])


def _rows(one: Driven, kept: Mapping[str, Sequence[int]] | None) -> Sequence[int]:
    return range(len(one.values)) if kept is None else kept[one.target]


def _keys(times: Sequence[float], values: Sequence[float]) -> Iterator[str]:
    span = f"0:{len(times) - 1}" if len(times) > 1 else "0"
    pairs = [f"{_number(t)} {_number(v)}" for t, v in zip(times, values)]
    yield (
        f'\tsetAttr -s {len(pairs)} ".ktv[{span}]"  '
        + "\n\t\t".join(" ".join(pairs[i : i + 8]) for i in range(0, len(pairs), 8))
        + ";"
    )


def curve_names(targets: Sequence[str]) -> dict[str, str]:
    """A node name for each target's curve: hero:jaw_ctrl.rotateX is hero_jaw_ctrl_rotateX; each once."""
    found: dict[str, str] = {}
    for target in targets:
        plain_name = re.sub(r"\W", "_", target.rpartition("|")[2], flags=re.ASCII)
        name, count = plain_name, 1
        while name in found.values():
            name, count = f"{plain_name}{count}", count + 1
        found[target] = name
    return found


def long_name(attribute: str) -> str:
    """translateX for tx; any other name is itself."""
    short = re.fullmatch(r"([trs])([xyz])", attribute)
    return _LONG[short[1]] + short[2].upper() if short else attribute


def _node(target: str) -> str:
    return target.partition(".")[0].rpartition("|")[2]


def _number(value: float) -> str:
    return repr(plain(value))
