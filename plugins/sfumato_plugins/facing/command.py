"""`sfumato face train | edit | retarget | report`: the commands beside `face solve`."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import wrong
from sfumato_plugins.report import Progress, Teller

if TYPE_CHECKING:
    from sfumato_plugins.facing.folder import Edit


def add_commands(parsers: Any, epilog: str) -> None:
    """Add train, edit, retarget and report."""
    _add_train(parsers.add_parser("train", help="learn an actor from a handful of approved frames", epilog=epilog))
    _add_edit(parsers.add_parser("edit", help="fix a key and solve again what depends on it", epilog=epilog))
    _add_retarget(parsers.add_parser("retarget", help="the same curves on another rig, by names", epilog=epilog))
    _add_report(parsers.add_parser("report", help="write the review page of a solve", epilog=epilog))


def _add_train(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rig", required=True, metavar="FILE", help="the rig of this actor, a file or a folder")
    command.add_argument(
        "--frames",
        required=True,
        nargs="+",
        metavar="APPROVED",
        help="folders of approved solves, DIR or DIR@1001,1040-1050 for some frames; or a list of takes (.json)",
    )
    command.add_argument("--out", required=True, metavar="FILE", help="the solver to write (.safetensors)")
    command.add_argument("--actor", default="", metavar="NAME", help="who it is; recorded in the solver")
    command.add_argument("--consent", default="", metavar="REF", help="where the actor's consent is filed; recorded")
    command.add_argument("--other-actor", action="store_true", help="also learn from takes of another actor")
    command.add_argument("--samples", type=int, metavar="N", help="faces made up from the rig's range of motion")
    command.add_argument("--epochs", type=int, metavar="N", help="rounds over all of them")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another solver (default: 0)")
    _add_told(command)
    command.set_defaults(go=_train)


def _add_edit(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", help="folder of a solve")
    command.add_argument("--control", metavar="NAME", help="such as jawOpen")
    command.add_argument("--frame", type=float, metavar="N", help="on the timeline")
    command.add_argument("--value", type=float, metavar="X", help="what it should be")
    command.add_argument("--lock", action="store_true", help="no later stage changes it, not even the fine-tune")
    command.add_argument("--clear", action="store_true", help="let a fixed key go again")
    command.add_argument("--list", action="store_true", help="only say which keys are fixed")
    command.add_argument("--later", action="store_true", help="only note the key; solve with the next edit or solve")
    _add_told(command)
    command.set_defaults(go=_edit)


def _add_retarget(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", help="folder of a solve, solved to the end")
    command.add_argument("--rig", required=True, metavar="FILE", help="the other rig")
    command.add_argument("--out", required=True, metavar="DIR2", help="folder for its curves.json")
    command.add_argument("--map", metavar="FILE", help="what drives what, with gains and limits (sfumato.retarget/1)")
    command.add_argument("--no-contacts", action="store_true", help="do not keep lips and lids shut where they were")
    _add_told(command)
    command.set_defaults(go=_retarget)


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", help="folder of a solve")
    command.add_argument("--html", required=True, metavar="FILE", help="the page to write")
    command.add_argument("--reference", metavar="FILE", help="pictures of the take, ref.####.jpg, as the timeline")
    command.add_argument("--previous", metavar="DIR", help="folder of the version before this one")
    _add_told(command)
    command.set_defaults(go=_report)


def _add_told(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")


def _train(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.facing.training import train

    if not args.out.lower().endswith(".safetensors"):
        raise wrong("--out", f"{args.out} does not end in .safetensors", "nothing in such a file can run")
    done = train(
        args.rig,
        args.frames,
        args.out,
        actor=args.actor,
        consent=args.consent,
        other_actor=args.other_actor,
        samples=args.samples,
        epochs=args.epochs,
        seed=args.seed,
        report=Progress(teller, 1).step,
        say=teller.say,
    )
    return _told(done, f"wrote {args.out}: learned from {done['frames']} approved frames", args, teller)


def _edit(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.facing.folder import edits_of, fix, solve_of

    solve_of(args.folder)
    if not args.list:
        absent = [f"--{name}" for name in ("control", "frame") if getattr(args, name) is None]
        if args.value is None and not args.clear:
            absent.append("--value")
        if absent:
            raise wrong("", f"{' and '.join(absent)} must be given", "see: sfumato face edit --help")
        if args.clear and (args.lock or args.value is not None):
            raise wrong("", "--clear goes with neither --value nor --lock", "it lets the key go")
        made = fix(args.folder, args.control, args.frame, None if args.clear else args.value, lock=args.lock)
        if made and made.frame != args.frame:
            teller.say(
                f"note: the take has no sample at frame {args.frame:g}; the key is at {made.frame:g}, the nearest"
            )
    edits = edits_of(args.folder)
    done: dict[str, Any] = {"keys": [vars(edit) for edit in edits], "solved": False}
    if not args.list and not args.later:
        done.update(_solved_again(args.folder, teller))
    listed = "\n".join(_line(edit) for edit in edits) or "no key is fixed"
    return _told(done, listed if args.list else done.get("summary", "noted; not solved yet"), args, teller)


def _solved_again(folder: str, teller: Teller) -> dict[str, Any]:
    from sfumato_plugins.cli import summary
    from sfumato_plugins.facing.folder import job_of
    from sfumato_plugins.run import run

    job = job_of(folder)
    made = {name: job.outputs.get(name) for name in ("page", "export")}
    done = run(replace(job, outputs={"solve": job.outputs["solve"]}), teller=teller)
    for name, path in made.items():
        if path and os.path.isfile(path):
            teller.say(f"note: the {name} {path} is of before this edit; solve again or report makes a new one")
    stats = done["frames"][0]["stats"]
    return {"solved": True, "stages": stats["stages"], "seconds": done["seconds"], "summary": summary(done)}


def _line(edit: Edit) -> str:
    return f"{edit.control:24}{edit.frame:10g}{edit.value:10g}{'  locked' if edit.locked else ''}"


def _retarget(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.facing.retargeting import retarget_folder

    report = Progress(teller, 1).step
    done = retarget_folder(args.folder, args.rig, args.out, args.map, contacts=not args.no_contacts, report=report)
    for line in done["notes"]:
        teller.say(f"note: {line}")
    words = f"{done['driven']} of {done['controls']} controls are driven; {done['curves']}"
    return _told(done, words, args, teller)


def _report(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.facing.review import make_page

    reference = os.path.abspath(args.reference) if args.reference else ""
    report = Progress(teller, 1).step
    page = os.path.abspath(args.html)
    first = make_page(args.folder, page, report, teller.say, reference=reference, previous=args.previous or "")
    found = {"page": page, "first": [{"frame": frame, "why": why} for frame, why in first]}
    return _told(found, f"page {page}", args, teller)


def _told(done: dict[str, Any], words: str, args: argparse.Namespace, teller: Teller) -> int:
    """Say what was done: one document, or a line."""
    teller.end()
    if args.json:
        print(json.dumps(done, indent=1))
    else:
        print(words)
    return 0
