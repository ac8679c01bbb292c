"""The commands `evaluate` and `demo`, and what they print; `bench` is in `benching.py`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sfumato_plugins.benching import add_bench
from sfumato_plugins.report import Teller


def add_commands(commands: Any) -> None:
    """Add `evaluate`, `demo` and `bench`."""
    _add_evaluate(commands.add_parser("evaluate", help="how far a result is from the truth"))
    _add_demo(commands.add_parser("demo", help="see a tool at work on what it draws itself"))
    add_bench(commands.add_parser("bench", help="measure on your own footage, beside other methods"))


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    command = parser.add_subparsers(metavar="TOOL", required=True).add_parser("matte", help="alpha against true alpha")
    command.add_argument("--alpha", required=True, metavar="FILE", help="EXR whose A is the alpha, or a grey picture")
    command.add_argument("--truth", required=True, metavar="FILE", help="true alpha: A, or a grey picture")
    command.add_argument("--trimap", required=True, metavar="FILE", help="errors are counted where it is grey")
    command.add_argument("--frames", metavar="R", help="default: every frame of the alpha")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_evaluate)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    names = parser.add_subparsers(metavar="TOOL", required=True)
    for name, help, quick, go in (
        ("edit", "a red ball becomes a blue one, and nothing else changes", "a smaller plate, fewer steps", _demo_edit),
        ("face", "a head of ours performs, and is solved in stages", "a shorter take, a coarser head", _demo_face),
        ("place", "things in boxes, a picture without and with them, and a story", "fewer steps", _demo_place),
        ("trail", "a ball follows its keyed box past another thing", "fewer steps", _demo_trail),
        ("matte", "hair before a bright sky", "a smaller shot at preview quality", _demo),
    ):
        command = names.add_parser(name, help=help)
        command.add_argument("--out", metavar="DIR", default=f"sfumato-demo-{name}", help="default: %(default)s")
        command.add_argument("--quick", action="store_true", help=quick)
        if name in ("edit", "place", "trail"):
            model = "a diffusers folder (default: embedded)"
            command.add_argument("--model", default="embedded", metavar="PATH", help=model)
        if name == "matte":
            command.add_argument("--quality", choices=("preview", "standard", "final"), help="default: standard")
        command.add_argument("--seed", type=int, default=0, metavar="N")
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
        command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")
        command.set_defaults(go=go)


def _evaluate(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.evaluate import evaluate_matte

    found = evaluate_matte(args.alpha, args.truth, args.trimap, args.frames)
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    units = {"sad": "/1000", "mse": "x 1e3", "grad": "/1000", "conn": "/1000", "dtssd": "x 100", "messddt": "/1000"}
    for name, value in found.items():
        print(f"{name:8} {'-' if value is None else format(value, '.4g'):>10}  {units.get(name, '')}")
    return 0


def _demo_edit(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.demo_edit import demo_edit

    return _shown(demo_edit(args.out, quick=args.quick, model=args.model, seed=args.seed, teller=teller), args, teller)


def _demo_face(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.demo_face import demo_face

    return _shown(demo_face(args.out, quick=args.quick, seed=args.seed, teller=teller), args, teller)


def _demo_place(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.demo_place import demo_place

    return _shown(demo_place(args.out, quick=args.quick, model=args.model, seed=args.seed, teller=teller), args, teller)


def _demo_trail(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.demo_trail import demo_trail

    return _shown(demo_trail(args.out, quick=args.quick, model=args.model, seed=args.seed, teller=teller), args, teller)


def _demo(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.demo import demo_matte

    found = demo_matte(args.out, quick=args.quick, quality=args.quality, seed=args.seed, teller=teller)
    return _shown(found, args, teller)


def _shown(found: dict[str, Any], args: argparse.Namespace, teller: Teller) -> int:
    teller.end()
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        print(f"page  {found['page']}")
    return 0
