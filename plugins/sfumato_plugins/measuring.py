"""The commands that measure: evaluate, bench and demo, and what they print."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

from sfumato_plugins.report import Teller


def add_commands(commands: Any) -> None:
    """Add `evaluate matte`, `demo matte`, `bench matte`, `bench host` and `bench queue`."""
    _add_evaluate(commands.add_parser("evaluate", help="how far a result is from the truth"))
    _add_demo(commands.add_parser("demo", help="see a tool at work on what it draws itself"))
    _add_bench(commands.add_parser("bench", help="measure on your own footage, beside other methods"))


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
    command = names.add_parser("edit", help="a red ball becomes a blue one, and nothing else changes")
    command.add_argument("--out", metavar="DIR", default="sfumato-demo-edit", help="default: %(default)s")
    command.add_argument("--quick", action="store_true", help="a smaller plate, fewer steps")
    command.add_argument("--model", default="embedded", metavar="PATH", help="a diffusers folder (default: embedded)")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")
    command.set_defaults(go=_demo_edit)
    command = names.add_parser("face", help="a head of ours performs, and is solved in stages")
    command.add_argument("--out", metavar="DIR", default="sfumato-demo-face", help="default: %(default)s")
    command.add_argument("--quick", action="store_true", help="a shorter take, a coarser head")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")
    command.set_defaults(go=_demo_face)
    for name, help, go in (
        ("place", "things in boxes, a picture without and with them, and a story", _demo_place),
        ("trail", "a ball follows its keyed box past another thing", _demo_trail),
    ):
        command = names.add_parser(name, help=help)
        command.add_argument("--out", metavar="DIR", default=f"sfumato-demo-{name}", help="default: %(default)s")
        command.add_argument("--quick", action="store_true", help="fewer steps")
        command.add_argument(
            "--model", default="embedded", metavar="PATH", help="a diffusers folder (default: embedded)"
        )
        command.add_argument("--seed", type=int, default=0, metavar="N")
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
        command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")
        command.set_defaults(go=go)
    command = names.add_parser("matte", help="hair before a bright sky")
    command.add_argument("--out", metavar="DIR", default="sfumato-demo-matte", help="default: %(default)s")
    command.add_argument("--quick", action="store_true", help="a smaller shot at preview quality")
    command.add_argument("--quality", choices=("preview", "standard", "final"), help="default: standard")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")
    command.set_defaults(go=_demo)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    names = parser.add_subparsers(metavar="NAME", required=True)
    command = names.add_parser("host", help="what hosts wait for: start, messages, cancel, every kind of failure")
    command.add_argument("--quick", action="store_true", help="fewer repetitions")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_host, progress="terminal")
    command = names.add_parser("inversion", help="exact diffusion inversion beside others, where the truth is known")
    command.add_argument("--quick", action="store_true", help="fewer cases")
    command.add_argument("--full", action="store_true", help="also every trip in pipelines, and a network of SD's size")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_inversion, progress="terminal")
    command = names.add_parser("edm", help="BDIA-EDM beside EDM on CIFAR-10 at equal calls of a network it trains")
    command.add_argument("--data", required=True, metavar="DIR", help="images/cifar10_jpeg and weights/cifar_resnet")
    command.add_argument(
        "--work", default="sfumato-bench-edm", metavar="DIR", help="what it keeps (default: %(default)s)"
    )
    command.add_argument("--checkpoint", metavar="FILE", help="a network it trained before; default: the one in --work")
    command.add_argument("--features", default="resnet20", metavar="NAME", help="of weights/cifar_resnet: %(default)s")
    command.add_argument(
        "--seeds", type=_numbers, metavar="N,N", help="only these; default: 0,1,2 with --full, else 0,1"
    )
    command.add_argument(
        "--calls", type=_numbers, metavar="N,N", help="of the network a picture, odd; default: 17, with --full 17,35"
    )
    command.add_argument("--compile", action="store_true", help="a third faster; needs a C++ compiler")
    command.add_argument("--full", action="store_true", help="trains to the end, 10,000 pictures each; resumes")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_edm, progress="terminal")
    command = names.add_parser("face", help="facial solvers beside each other where the truth is known")
    command.add_argument("--data", required=True, metavar="DIR", help="ict_facekit/ livelink_miller/ facegood_solves/")
    command.add_argument("--full", action="store_true", help="three seeds, every frame; saves rows and resumes")
    command.add_argument(
        "--work", default="sfumato-bench-face", metavar="DIR", help="what --full keeps (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_face, progress="terminal")
    _add_bench_edit(names.add_parser("edit", help="what edits keep, BDIA beside DDIM inversion"))
    for name, what in (
        ("place", "stills whose objects are put into boxes"),
        ("trail", "shots whose things follow boxes"),
    ):
        _add_bench_place(names.add_parser(name, help=f"{what}: every method in one table"), f"embedded_{name}")
    command = names.add_parser(
        "reversible", help="training deep stacks in the memory of a block: bytes, seconds, exactness, accuracy"
    )
    command.add_argument("--data", metavar="DIR", help="cifar10_jpeg/: also what a vision transformer learns there")
    command.add_argument("--seeds", type=_numbers, metavar="N,N", help="of that; default: 0, with --full 0,1,2,3,4")
    command.add_argument(
        "--work", default="sfumato-bench-reversible", metavar="DIR", help="keeps its runs (default: %(default)s)"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="of that (default: cpu)")
    command.add_argument("--full", action="store_true", help="every depth; all pictures, 40 epochs: hours, or a GPU")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_reversible, progress="terminal")
    command = names.add_parser("hsic", help="layers trained one by one, beside back-propagation and local heads")
    command.add_argument("--data", required=True, metavar="DIR", help="mnist/ fashion/ cifar10_jpeg/")
    command.add_argument("--full", action="store_true", help="three seeds of everything; saves rows and resumes")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_hsic, progress="terminal")
    command = names.add_parser("queue", help="what two slots gain, and what the queue costs a task")
    command.add_argument("--tasks", type=int, default=16, metavar="N", help="that sleep half a second (default: 16)")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_queue, progress="terminal")
    command = names.add_parser("matte", help="stills or clips with truth")
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
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench, progress="terminal")


def _add_bench_place(command: argparse.ArgumentParser, model: str) -> None:
    command.add_argument("--model", default=model, metavar="NAME", help="or a diffusers folder (default: %(default)s)")
    command.add_argument("--count", type=int, metavar="N", help="cases of each kind and seed")
    command.add_argument("--methods", metavar="NAMES", help="only these, with commas between them (default: all)")
    command.add_argument("--full", action="store_true", help="the whole protocol, three seeds; saves rows and resumes")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_place, bench=model.removeprefix("embedded_"), progress="terminal")


def _add_bench_edit(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default="embedded", metavar="PATH", help="a diffusers folder (default: embedded)")
    command.add_argument(
        "--data",
        metavar="DIR",
        help="your own pictures: DIR/edits.json lists {picture, mask, source, target} (default: rendered scenes)",
    )
    command.add_argument("--count", type=int, metavar="N", help="at most N edits (default: 60; 200 with --full)")
    command.add_argument("--steps", type=int, default=50, metavar="N")
    command.add_argument("--strength", type=float, default=0.8, metavar="X")
    command.add_argument("--guidance", type=float, default=3.0, metavar="X")
    command.add_argument("--methods", metavar="NAMES", help="with ; between, as the table calls them")
    command.add_argument("--full", action="store_true", help="more edits, more methods; saves rows and resumes")
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_bench_edit, progress="terminal")


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no whole numbers with commas between them") from None


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


def _bench_host(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import host

    document = host.run(lambda line: print(line, file=sys.stderr, flush=True), quick=args.quick)
    print(json.dumps(document, indent=1) if args.json else host.as_text(document))
    return 0


def _bench_hsic(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import hsic

    document = hsic.run(pathlib.Path(args.data), full=args.full, say=teller.say)
    print(json.dumps(document, indent=1) if args.json else hsic.as_text(document))
    return 0


def _bench_queue(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import queue

    document = queue.run(lambda line: print(line, file=sys.stderr, flush=True), tasks=max(args.tasks, 1))
    print(json.dumps(document, indent=1) if args.json else queue.as_text(document))
    return 0


def _bench_inversion(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import inversion

    document = inversion.run(
        lambda line: print(line, file=sys.stderr, flush=True), quick=args.quick, full=args.full, seed=args.seed
    )
    print(json.dumps(document, indent=1) if args.json else inversion.as_text(document))
    return 0


def _bench_reversible(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import reversible

    document = reversible.run(
        full=args.full,
        data=args.data,
        seeds=args.seeds,
        work=args.work,
        device=args.device,
        say=teller.say,
    )
    print(json.dumps(document, indent=1) if args.json else reversible.as_text(document))
    return 0


def _bench_edm(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import edm

    document = edm.run(
        args.data,
        work=args.work,
        checkpoint=args.checkpoint,
        features=args.features,
        seeds=args.seeds,
        budgets=args.calls,
        full=args.full,
        compiled=args.compile,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(json.dumps(document, indent=1) if args.json else edm.as_text(document))
    return 0


def _bench_face(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import face

    document = face.run(
        args.data, full=args.full, work=args.work, say=lambda line: print(line, file=sys.stderr, flush=True)
    )
    print(json.dumps(document, indent=1) if args.json else face.as_text(document))
    return 0


def _bench_place(args: argparse.Namespace, teller: Teller) -> int:
    import importlib

    bench = importlib.import_module(f"sfumato_plugins.benches.{args.bench}")
    document = bench.run(
        args.model,
        count=args.count,
        methods=[name.strip() for name in args.methods.split(",")] if args.methods else None,
        full=args.full,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(json.dumps(document, indent=1) if args.json else bench.as_text(document))
    return 0


def _bench_edit(args: argparse.Namespace, teller: Teller) -> int:
    import pathlib

    from sfumato_plugins.benches import edit
    from sfumato_plugins.benches.edit_methods import Settings

    document = edit.run(
        args.model,
        data=pathlib.Path(args.data) if args.data else None,
        count=args.count,
        settings=Settings(args.steps, args.strength, args.guidance),
        full=args.full,
        device=args.device,
        seed=args.seed,
        methods=[name.strip() for name in args.methods.split(";")] if args.methods else None,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(json.dumps(document, indent=1) if args.json else edit.as_text(document))
    return 0


def _bench(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.benches import matte

    document = matte.run(
        args.data,
        quality=args.quality,
        long=args.long,
        limit=args.limit,
        trimap=args.trimap,
        full=args.full,
        device=args.device,
        seed=args.seed,
        methods=args.methods.split(",") if args.methods else None,
        scribbles=args.scribbles,
        cost=args.cost,
        steps=args.steps,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if args.json:
        print(json.dumps(document, indent=1))
        return 0
    print(matte.as_text(document))
    return 0
