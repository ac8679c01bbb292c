"""The command `bench`: for each table, its options and how it is run."""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import sys
from typing import Any, Callable

from sfumato_plugins.report import Teller

Run = Callable[[Any, argparse.Namespace], "dict[str, Any]"]
"""The bench's module and the words of the command line: its document."""


def add_bench(parser: argparse.ArgumentParser) -> None:
    """Add `bench NAME` for each of `sfumato_plugins.benches`."""
    names = parser.add_subparsers(metavar="NAME", required=True)
    for name, add, help in (
        ("host", _host, "what hosts wait for: start, messages, cancel, every kind of failure"),
        ("inversion", _inversion, "exact diffusion inversion beside others, where the truth is known"),
        ("edm", _edm, "BDIA-EDM beside EDM on CIFAR-10 at equal calls of a network it trains"),
        ("face", _face, "facial solvers beside each other where the truth is known"),
        ("edit", _edit, "what edits keep, BDIA beside DDIM inversion"),
        ("place", _place, "stills whose objects are put into boxes: every method in one table"),
        ("trail", _place, "shots whose things follow boxes: every method in one table"),
        (
            "reversible",
            _reversible,
            "training deep stacks in the memory of a block: bytes, seconds, exactness, accuracy",
        ),
        ("hsic", _hsic, "layers trained one by one, beside back-propagation and local heads"),
        ("queue", _queue, "what two slots gain, and what the queue costs a task"),
        ("matte", _matte, "stills or clips with truth"),
    ):
        command = names.add_parser(name, help=help)
        command.set_defaults(go=_go, bench=name, progress="terminal", run=add(command, name))
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _go(args: argparse.Namespace, teller: Teller) -> int:
    bench = importlib.import_module(f"sfumato_plugins.benches.{args.bench}")
    document = args.run(bench, args)
    print(json.dumps(document, indent=1) if args.json else bench.as_text(document))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _host(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--quick", action="store_true", help="fewer repetitions")
    return lambda host, args: host.run(_say, quick=args.quick)


def _inversion(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--quick", action="store_true", help="fewer cases")
    command.add_argument("--full", action="store_true", help="also every trip in pipelines, and a network of SD's size")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    return lambda inversion, args: inversion.run(_say, quick=args.quick, full=args.full, seed=args.seed)


def _edm(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--data", required=True, metavar="DIR", help="images/cifar10_jpeg and weights/cifar_resnet")
    _add_work(command, name, "what it keeps")
    command.add_argument("--checkpoint", metavar="FILE", help="a network it trained before; default: the one in --work")
    command.add_argument("--features", default="resnet20", metavar="NAME", help="of weights/cifar_resnet: %(default)s")
    _add_numbers(command, "--seeds", "only these; default: 0,1,2 with --full, else 0,1")
    _add_numbers(command, "--calls", "of the network a picture, odd; default: 17, with --full 17,35")
    command.add_argument("--compile", action="store_true", help="a third faster; needs a C++ compiler")
    command.add_argument("--full", action="store_true", help="trains to the end, 10,000 pictures each; resumes")
    return lambda edm, args: edm.run(
        args.data, work=args.work, checkpoint=args.checkpoint, features=args.features, seeds=args.seeds,
        budgets=args.calls, full=args.full, compiled=args.compile, say=_say,
    )  # fmt: skip


def _face(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--data", required=True, metavar="DIR", help="ict_facekit/ livelink_miller/ facegood_solves/")
    command.add_argument("--full", action="store_true", help="three seeds, every frame; saves rows and resumes")
    _add_work(command, name, "what --full keeps")
    return lambda face, args: face.run(args.data, full=args.full, work=args.work, say=_say)


def _edit(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--model", default="embedded", metavar="PATH", help="a diffusers folder (default: embedded)")
    own = "your own pictures: DIR/edits.json lists {picture, mask, source, target} (default: rendered scenes)"
    command.add_argument("--data", type=pathlib.Path, metavar="DIR", help=own)
    command.add_argument("--count", type=int, metavar="N", help="at most N edits (default: 60; 200 with --full)")
    command.add_argument("--steps", type=int, default=50, metavar="N")
    command.add_argument("--strength", type=float, default=0.8, metavar="X")
    command.add_argument("--guidance", type=float, default=3.0, metavar="X")
    command.add_argument("--methods", metavar="NAMES", help="with ; between, as the table calls them")
    command.add_argument("--full", action="store_true", help="more edits, more methods; saves rows and resumes")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--seed", type=int, default=0, metavar="N")

    def run(edit: Any, args: argparse.Namespace) -> Any:
        from sfumato_plugins.benches.edit_methods import Settings

        return edit.run(
            args.model, data=args.data, count=args.count, settings=Settings(args.steps, args.strength, args.guidance),
            full=args.full, device=args.device, seed=args.seed, methods=_listed(args.methods, ";"), say=_say,
        )  # fmt: skip

    return run


def _place(command: argparse.ArgumentParser, name: str) -> Run:
    model = f"embedded_{name}"
    command.add_argument("--model", default=model, metavar="NAME", help="or a diffusers folder (default: %(default)s)")
    command.add_argument("--count", type=int, metavar="N", help="cases of each kind and seed")
    command.add_argument("--methods", metavar="NAMES", help="only these, with commas between them (default: all)")
    command.add_argument("--full", action="store_true", help="the whole protocol, three seeds; saves rows and resumes")
    return lambda bench, args: bench.run(
        args.model, count=args.count, methods=_listed(args.methods), full=args.full, say=_say
    )


def _reversible(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--data", metavar="DIR", help="cifar10_jpeg/: also what a vision transformer learns there")
    _add_numbers(command, "--seeds", "of that; default: 0, with --full 0,1,2,3,4")
    _add_work(command, name, "keeps its runs")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="of that (default: cpu)")
    command.add_argument("--full", action="store_true", help="every depth; all pictures, 40 epochs: hours, or a GPU")
    return lambda reversible, args: reversible.run(
        full=args.full, data=args.data, seeds=args.seeds, work=args.work, device=args.device, say=_say
    )


def _hsic(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument(
        "--data", type=pathlib.Path, required=True, metavar="DIR", help="mnist/ fashion/ cifar10_jpeg/"
    )
    command.add_argument("--full", action="store_true", help="three seeds of everything; saves rows and resumes")
    return lambda hsic, args: hsic.run(args.data, full=args.full, say=_say)


def _queue(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--tasks", type=int, default=16, metavar="N", help="that sleep half a second (default: 16)")
    return lambda queue, args: queue.run(_say, tasks=max(args.tasks, 1))


def _matte(command: argparse.ArgumentParser, name: str) -> Run:
    command.add_argument("--data", required=True, metavar="DIR", help="image/ alpha/ trimap1/, or the parent of clips")
    command.add_argument("--quality", choices=("preview", "standard", "final"), default="standard")
    command.add_argument("--long", type=int, default=512, metavar="PX", help="long side of stills (default: 512)")
    command.add_argument("--limit", type=int, metavar="N", help="at most N stills or clips")
    command.add_argument("--trimap", type=int, choices=(1, 2), default=1, help="which trimap of stills (default: 1)")
    command.add_argument("--methods", metavar="NAMES", help="sfumato,closed-form,knn,lbdm,cf-srgb (default: all)")
    command.add_argument("--scribbles", action="store_true", help="also with a few strokes for a trimap")
    command.add_argument("--cost", action="store_true", help="also seconds against pixels in the band")
    command.add_argument("--steps", action="store_true", help="also what each thing done for speed buys")
    command.add_argument("--full", action="store_true", help="everything, however long; saves rows and resumes")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    return lambda matte, args: matte.run(
        args.data, quality=args.quality, long=args.long, limit=args.limit, trimap=args.trimap, full=args.full,
        device=args.device, seed=args.seed, methods=_listed(args.methods), scribbles=args.scribbles, cost=args.cost,
        steps=args.steps, say=_say,
    )  # fmt: skip


def _add_work(command: argparse.ArgumentParser, name: str, what: str) -> None:
    default = f"sfumato-bench-{name}"
    command.add_argument("--work", default=default, metavar="DIR", help=f"{what} (default: %(default)s)")


def _add_numbers(command: argparse.ArgumentParser, option: str, help: str) -> None:
    command.add_argument(option, type=_numbers, metavar="N,N", help=help)


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no whole numbers with commas between them") from None


def _listed(text: str | None, between: str = ",") -> list[str] | None:
    return [name.strip() for name in text.split(between)] if text else None
