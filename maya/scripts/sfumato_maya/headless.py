"""Curves and markers without a window:

    mayapy headless.py apply SCENE take.json --map rig.json --namespace hero --save OUT.ma
    mayapy headless.py markers SCENE out.json --nodes "face:*_mrk" --frames 1001-1100

Exit codes as everywhere: 0 done, 1 a bug, 2 the request is wrong, 3 an input is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))


def find_ourselves() -> None:
    """mayapy may not look into a module's scripts/; and this folder itself must not hide others' modules."""
    scripts = os.path.dirname(HERE)
    plugins = os.path.join(os.path.dirname(os.path.dirname(scripts)), "plugins")
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]
    sys.path += [folder for folder in (scripts, plugins) if folder not in sys.path]


def main(argv: list[str]) -> int:
    """Open a scene, do one thing, give the exit code."""
    args = _parser().parse_args(argv)
    find_ourselves()
    import maya.standalone

    maya.standalone.initialize(name="python")
    from maya import cmds

    from sfumato_maya import loading
    from sfumato_plugins.errors import JobError

    loading.ensure()
    try:
        cmds.file(args.scene, open=True, force=True)
        print(args.go(args))
    except JobError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except RuntimeError as error:
        print(f"{args.scene}: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        print(f"{error.filename} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mayapy headless.py")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("apply", help="key a rig with a curves file and save the scene")
    command.add_argument("scene")
    command.add_argument("curves", metavar="take.json")
    command.add_argument("--map", metavar="FILE", help="control map (default: names are node.attribute already)")
    command.add_argument("--namespace", default="", metavar="NAME")
    command.add_argument("--layer", default="", metavar="NAME", help="default: a new one")
    command.add_argument("--no-layer", action="store_true", help="key the attributes themselves")
    command.add_argument("--start", type=float, metavar="F", help="frame the first sample lands on")
    command.add_argument("--partial", action="store_true", help="leave out what cannot be written")
    command.add_argument("--save", required=True, metavar="OUT", help=".ma or .mb")
    command.set_defaults(go=_apply)
    command = commands.add_parser("markers", help="write locators and joints as markers")
    command.add_argument("scene")
    command.add_argument("out", metavar="out.json")
    command.add_argument("--nodes", nargs="+", required=True, metavar="NAME", help="names; * stands for anything")
    command.add_argument("--frames", required=True, metavar="R", help="1001-1100")
    command.set_defaults(go=_markers)
    return parser


def _apply(args: argparse.Namespace) -> str:
    from maya import cmds

    from sfumato_maya.apply import apply
    from sfumato_plugins import control_map, curves

    take = curves.load(args.curves)
    mapped = control_map.load(args.map) if args.map else None
    layer = None if args.no_layer else args.layer
    done = apply(take, mapped, args.namespace, layer=layer, start=args.start, partial=args.partial)
    for problem in (*done.left_out, *done.notes):
        print(problem, file=sys.stderr)
    kind = "mayaAscii" if args.save.lower().endswith(".ma") else "mayaBinary"
    cmds.file(rename=args.save)
    cmds.file(save=True, force=True, type=kind)
    return f"{done}: {args.save}"


def _markers(args: argparse.Namespace) -> str:
    from maya import cmds

    from sfumato_maya.markers import sample
    from sfumato_plugins.errors import wrong
    from sfumato_plugins.frames import parse_frames

    nodes = cmds.ls(*args.nodes, long=True, type=("transform", "joint"))
    if not nodes:
        raise wrong("--nodes", f"no transform or joint is called {' or '.join(args.nodes)}")
    found = sample(parse_frames(args.frames), nodes)
    found.save(args.out)
    return f"{len(found.names)} markers, {len(found.frames)} frames: {args.out}"


if __name__ == "__main__":
    code = 1
    try:
        code = main(sys.argv[1:])
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)  # Maya's own shutdown has been seen to hang
