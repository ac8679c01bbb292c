"""`sfumato train diffusion | face`: the options, and what is said at the end."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sfumato_plugins.report import Teller

KEPT = "what was done is kept; run again with --resume to go on"


def add_commands(commands: Any, epilog: str) -> None:
    """Add `train diffusion` and `train face`."""
    epilog = epilog.partition(" Running")[0] + " A killed training goes on with --resume."
    parser = commands.add_parser("train", help="train what sfumato runs, on your own pictures and takes")
    names = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_diffusion(
        names.add_parser("diffusion", help="fine-tune a diffusion model on a folder of pictures", epilog=epilog)
    )
    _add_face(names.add_parser("face", help="teach the face solver an actor, from approved solves", epilog=epilog))


def _add_face(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", required=True, metavar="DIR", help="a solve, a folder of solves, or a list of approved takes (.json)"
    )
    _add_common(command, "folder for solver.safetensors and its page; training/ in it is only for going on")
    command.add_argument("--rig", default="", metavar="FILE", help="the actor's rig (default: the one of the solves)")
    command.add_argument(
        "--method",
        choices=("backprop", "hsic"),
        default="backprop",
        help="hsic: layer by layer, and a linear read-out",
    )
    command.add_argument("--actor", default="", metavar="NAME", help="who it is; recorded in the solver")
    command.add_argument("--consent", default="", metavar="REF", help="where the actor's consent is filed; recorded")
    command.add_argument("--other-actor", action="store_true", help="also learn from takes of another actor")
    command.add_argument("--samples", type=int, default=6000, metavar="N", help="made-up faces (default: %(default)s)")
    command.add_argument("--epochs", type=int, default=30, metavar="N", help="rounds over all (default: %(default)s)")
    command.set_defaults(go=_face)


def _add_diffusion(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", required=True, metavar="DIR", help="pictures of any size, each with its words in NAME.txt beside it"
    )
    _add_common(command, "the model to write, a diffusers folder; training/ in it is only for going on")
    command.add_argument(
        "--model", default="embedded", metavar="PATH", help="a diffusers folder to begin with (default: embedded)"
    )
    command.add_argument("--prompt", default="", metavar="WORDS", help="what pictures without a caption show")
    command.add_argument("--note", default="", metavar="TEXT", help="whose pictures these are; recorded in the model")
    command.add_argument("--reversible", action="store_true", help="in the memory of one block, bit for bit")
    group = command.add_argument_group("how it learns")
    group.add_argument("--steps", type=int, default=1000, metavar="N", help="at most (default: %(default)s)")
    group.add_argument("--batch", type=int, default=4, metavar="N", help="pictures a step (default: %(default)s)")
    group.add_argument(
        "--rate", type=float, default=2e-5, metavar="X", help="learning rate; small models take ten times as much"
        " (default: %(default)s)"
    )  # fmt: skip
    group.add_argument(
        "--held", type=float, default=0.1, metavar="X", help="share of pictures that are only looked at (default: .1)"
    )
    group.add_argument(
        "--look", type=int, default=50, metavar="N", help="steps between two looks at them (default: %(default)s)"
    )
    group.add_argument(
        "--patience", type=int, default=6, metavar="N", help="looks without a better one until it stops; 0: never"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    command.set_defaults(go=_diffusion)


def _add_common(command: argparse.ArgumentParser, out: str) -> None:
    command.add_argument("--out", required=True, metavar="DIR", help=out)
    command.add_argument("--resume", action="store_true", help="go on from where an earlier run of this was")
    command.add_argument("--estimate", action="store_true", help="say what it will take, and stop")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another result (default: 0)")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout, everything else on stderr")
    command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")


def _diffusion(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.training.diffusion import Asked, train_diffusion

    teller.kept = KEPT
    how = {name: getattr(args, name) for name in ("steps", "batch", "rate", "held", "look", "patience", "seed")}
    asked = Asked(
        data=args.data,
        out=args.out,
        model=args.model,
        prompt=args.prompt,
        note=args.note,
        device=args.device,
        resume=args.resume,
        estimate=args.estimate,
        how={**how, "reversible": args.reversible},
    )
    done = train_diffusion(asked, teller)
    return _told(done, "" if args.estimate else f"wrote {done['model']}\npage {done['page']}", args, teller)


def _face(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.training.face import AskedFace, train_face

    teller.kept = KEPT
    names = ("data", "out", "rig", "method", "actor", "consent", "other_actor", "samples", "epochs", "seed", "resume")
    done = train_face(AskedFace(**{name: getattr(args, name) for name in names}, estimate=args.estimate), teller)
    return _told(done, "" if args.estimate else f"wrote {done['solver']}\npage {done['page']}", args, teller)


def _told(done: dict[str, Any], words: str, args: argparse.Namespace, teller: Teller) -> int:
    """Say what was done: one document, or lines."""
    teller.end()
    if args.json:
        print(json.dumps(done, indent=1))
    elif words:
        print(words)
    return 0
