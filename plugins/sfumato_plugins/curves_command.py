"""`sfumato curves`: look at a curves file, and turn one into what Maya reads by itself."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import Problem, wrong
from sfumato_plugins.report import Teller

if TYPE_CHECKING:
    from sfumato_plugins.control_map import Driven


def add_commands(commands: Any) -> None:
    """Add `curves check` and `curves convert`."""
    parser = commands.add_parser("curves", help="animation curves: check them, turn them into .anim or .ma")
    inside = parser.add_subparsers(metavar="COMMAND", required=True)
    check = inside.add_parser("check", help="everything that is wrong with a curves file")
    check.add_argument("file", metavar="take.json")
    check.set_defaults(go=_check)
    convert = inside.add_parser("convert", help="write .anim or Maya ASCII, for a Maya without our plug-in")
    convert.add_argument("file", metavar="take.json")
    convert.add_argument("out", metavar="OUT", help="a name that ends in .anim or .ma")
    convert.add_argument("--map", metavar="FILE", help="control map (default: names are node.attribute already)")
    convert.add_argument("--namespace", metavar="NAME", default="", help="of the rig in the scene")
    convert.add_argument("--fps", type=float, metavar="N", help="rate of the scene (default: the take's own)")
    convert.add_argument("--start", type=float, metavar="F", help="frame the take starts on (default: its first)")
    convert.add_argument("--connect", action="store_true", help=".ma only: connect the curves to the rig")
    convert.set_defaults(go=_convert)


def _check(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.curves import load

    curves = load(args.file)
    count, locked = len(curves.names), len(curves.locked)
    span = f"{curves.frames[0]:g} to {curves.frames[-1]:g} at {curves.fps:g} a second"
    print(f"{count} controls, {len(curves.frames)} frames from {span}, {locked} values locked")
    return 0


def _convert(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.control_map import in_namespace, plain_map
    from sfumato_plugins.control_map import load as load_map
    from sfumato_plugins.curves import load
    from sfumato_plugins.curves_maya_files import anim_text, ma_text
    from sfumato_plugins.takes import on_timeline
    from sfumato_plugins.text_file import write_text

    kind = os.path.splitext(args.out)[1].lower()
    if kind not in (".anim", ".ma"):
        raise wrong("", f"{args.out} is neither .anim nor .ma", "the ending says what is written")
    if args.connect and kind == ".anim":
        raise wrong("", "--connect is for .ma", "an .anim file is pasted onto what is selected")
    curves = load(args.file)
    driven, notes = (load_map(args.map) if args.map else plain_map(curves.names)).drive(curves)
    if not driven:
        raise wrong("", "the map has no line for any control of the take", "\n".join(str(note) for note in notes))
    fps = args.fps or curves.fps
    times = on_timeline(curves.frames, curves.fps, fps, args.start)
    driven = [replace(one, target=in_namespace(one.target, args.namespace)) for one in driven]
    driven, held = _held(driven)
    text = anim_text(driven, times, fps) if kind == ".anim" else ma_text(driven, times, fps, connect=args.connect)
    write_text(args.out, text)
    for note in notes + held:
        print(note, file=sys.stderr)
    used = {name for one in driven for name in one.controls}
    unmapped = len(set(curves.names) - used)
    left_out = f"; {unmapped} of {len(curves.names)} controls have no line in the map, left out" if unmapped else ""
    print(f"wrote {args.out}: {len(driven)} curves, {len(times)} keys each{left_out}")
    if kind == ".anim":
        nodes = dict.fromkeys(one.target.partition(".")[0] for one in driven)
        print(f"select before importing, in this order: {' '.join(nodes)}")
    return 0


def _held(driven: list[Driven]) -> tuple[list[Driven], list[Problem]]:
    """The values held to the map's limits, and what that changed."""
    pairs = [one.held() for one in driven]
    return [one for one, _ in pairs], [note for _, note in pairs if note]
