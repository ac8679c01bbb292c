"""The command line. Nothing here imports torch: --help answers at once, and threads are set before torch loads."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sfumato_plugins
from sfumato_plugins.errors import JobError
from sfumato_plugins.failure import failure
from sfumato_plugins.report import Teller, choose_teller
from sfumato_plugins.runtime import prepare_process
from sfumato_plugins.stopping import follow_parent, interruptible, leave

if TYPE_CHECKING:
    from sfumato_plugins.job import Job

EXIT_CODES = """\
exit codes: 0 done; 1 a bug in sfumato; 2 the request is wrong; 3 an input is missing or unreadable;
4 out of memory; 130 cancelled. Running the same command again goes on where it was."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] == ["worker"]:  # a host waits for its hello, so nothing else is loaded; it has its own way to stop
        return _worker(given[1:])
    args = _parser().parse_args(given)
    teller = _teller(args)
    try:
        prepare_process()
        # A queue has more time: it has to stop its tasks first.
        with interruptible(teller, getattr(args, "more_time", 0.0)):
            follow_parent(os.environ)
            done: int = args.go(args, teller)
        return done
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (Exception, KeyboardInterrupt) as error:
        code = _failed(error, teller, getattr(args, "json", False))
        if teller.stopped:
            leave(code)
        return code
    finally:
        teller.end()


def _teller(args: argparse.Namespace) -> Teller:
    how = getattr(args, "progress", "quiet")
    if how == "auto" and args.json:  # a farm's progress lines would spoil the one document on stdout
        how = "terminal"
    return choose_teller(how, os.environ)


def _failed(error: BaseException, teller: Teller, as_json: bool) -> int:
    """Say what happened to whoever can do something about it, and give the exit code."""
    found = failure(error)
    if found.bug:
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    text = "\n".join(str(problem) for problem in found.problems)
    teller.fail(text)
    if type(teller) is Teller:
        print(text, file=sys.stderr)
    if as_json:
        _print({"error": {"exit_code": found.code, "problems": [vars(p) for p in found.problems]}})
    return found.code


def _print(document: Any) -> None:
    print(json.dumps(document, indent=1))


def _parser() -> argparse.ArgumentParser:
    from sfumato_plugins.arguments import Parser  # not before: a worker's hello does not wait for it
    from sfumato_plugins.options import add_options

    parser = Parser(
        prog="sfumato",
        description="Mattes and more for visual effects, nothing learned from anybody's footage.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sfumato {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for tool in sfumato_plugins.TOOLS:
        command = commands.add_parser(tool.name, help=tool.help, description=tool.help, epilog=EXIT_CODES)
        if tool.verbs:
            verbs = command.add_subparsers(title="commands", metavar="COMMAND", required=True)
            command = verbs.add_parser(tool.verb, help=tool.help, description=tool.help, epilog=EXIT_CODES)
            tool.verbs(verbs, EXIT_CODES)
        add_options(command, tool)
        _add_run_options(command)
        command.set_defaults(go=_tool, tool=tool)
    _add_job_commands(commands)
    _add_farm_commands(commands)
    _add_measuring_commands(commands)
    command = commands.add_parser("doctor", help="what is installed and what applies here")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_doctor)
    command = commands.add_parser("where", help="the folder to put on a host's path")
    command.add_argument("host", choices=("nuke", "maya"))
    command.set_defaults(go=_where)
    command = commands.add_parser("tools", help="the tools and their parameters")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_tools)
    return parser


def _add_run_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("run")
    group.add_argument("--force", action="store_true", help="compute even what is complete")
    group.add_argument("--mixed", action="store_true", help="let frames come from CPU and GPU in one job")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout, everything else on stderr")
    group.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")


def _add_job_commands(commands: Any) -> None:
    command = commands.add_parser("run", help="compute a job file, or a part of it", epilog=EXIT_CODES)
    command.add_argument("job", metavar="job.json")
    command.add_argument("--frames", metavar="R", help="only these of the job's frames")
    command.add_argument("--view", metavar="NAME", help="only this of the job's views")
    command.add_argument("--path-mapping", metavar="FILE", help="a farm's rules for paths (pathmapping-1.0)")
    _add_run_options(command)
    command.set_defaults(go=_run)
    command = commands.add_parser("check", help="everything that is wrong with a job file", epilog=EXIT_CODES)
    command.add_argument("job", metavar="job.json")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_check)


def _add_farm_commands(commands: Any) -> None:
    from sfumato_plugins import farming

    farming.add_commands(commands, EXIT_CODES)


def _add_measuring_commands(commands: Any) -> None:
    from sfumato_plugins import curves_command, measuring
    from sfumato_plugins.training import command as training

    measuring.add_commands(commands)
    curves_command.add_commands(commands)
    training.add_commands(commands, EXIT_CODES)


def _tool(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.colour import pinned
    from sfumato_plugins.options import job_from
    from sfumato_plugins.settings import load_settings

    job = job_from(args, args.tool, load_settings())
    steps = [b - a for a, b in zip(job.frames, job.frames[1:])]
    if not args.frames and steps and max(steps) > 1 and args.tool.span:
        from sfumato_plugins.frames import format_frames

        teller.say(f"note: {job.tool} makes the frames {format_frames(job.frames)}, as many as its model's clips have")
    elif not args.frames and steps and max(steps) > min(steps):  # the frames were found on disk
        from sfumato_plugins.frames import format_frames

        teller.say(f"note: {job.tool} takes the frames that are there, {format_frames(job.frames)}, with holes between")
    if args.save_job:
        return _save(pinned(job), args.save_job, teller)
    return _compute(job, None, args, teller)


def _save(job: Job, path: str, teller: Teller) -> int:
    from sfumato_plugins.errors import wrong

    try:
        job.save(path)
    except OSError as error:
        hint = "name a file in a folder that is there"
        raise wrong("--save-job", f"{path} cannot be written: {error.strerror}", hint) from None
    teller.say(f"wrote {path}")
    return 0


def _run(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.frames import parse_frames

    frames = parse_frames(args.frames.replace(":", "x"), "--frames") if args.frames else None  # farms write a step as :
    return _compute(_load(args), frames, args, teller)


def _load(args: argparse.Namespace) -> Job:
    """The job file, its absolute paths as this machine calls them."""
    from sfumato_plugins.job import load
    from sfumato_plugins.paths import mapped
    from sfumato_plugins.settings import load_settings

    farm = load_settings(start=os.path.dirname(os.path.abspath(args.job))).get("farm", {})
    return mapped(load(args.job), farm, os.environ, getattr(args, "path_mapping", None) or "")


def _compute(job: Job, frames: Sequence[int] | None, args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.run import run

    done = run(job, frames, view=getattr(args, "view", None), teller=teller, force=args.force, mixed=args.mixed)
    teller.end()
    if args.json:
        _print(done)
    teller.say(summary(done))
    return 0


def summary(done: dict[str, Any]) -> str:
    """What a run did, in a line, and where its page lies."""
    computed, kept, skipped = (sum(map(len, done[key].values())) for key in ("computed", "kept", "skipped"))
    words = [f"{computed} computed", f"{kept} kept"] + ([f"{skipped} skipped"] if skipped else [])
    end = f"complete: {done['result']}" if done["complete"] else "other frames of the job are not complete yet"
    return "\n".join([f"{', '.join(words)}; {end}", *(f"page {page}" for page in done["pages"])])


def _check(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.check import problems
    from sfumato_plugins.farm.plan import uncut

    note = ""
    try:
        job = _load(args)
        found = problems(job)
        note = "" if found else uncut(job)
    except JobError as error:
        found = error.problems
    if args.json:
        _print({"ok": not found, "problems": [vars(p) for p in found], "notes": [note] if note else []})
    else:
        print("\n".join([str(p) for p in found] or filter(None, ["nothing is wrong with this job", note])))
    return JobError(found).exit_code if found else 0


def _doctor(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.doctor import examine

    lines = examine()
    if args.json:
        _print([vars(line) for line in lines])
    else:
        for line in lines:
            print(f"{'  ' if line.well else '! '}{line.about:18}{line.found}")
    return 0 if all(line.well for line in lines) else 2


def _where(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.engine_python import marker, write_marker
    from sfumato_plugins.install import host_folder

    folder = host_folder(args.host)
    if not write_marker():
        print(f"note: {marker()} cannot be written, so {args.host} will not find this engine by it", file=sys.stderr)
        print(f"  set SFUMATO_PYTHON={sys.executable} where {args.host} starts", file=sys.stderr)
    print(folder)
    return 0


def _worker(given: Sequence[str]) -> int:
    """What hosts start and talk to; see wire.py."""
    from sfumato_plugins.worker import main as serve

    parser = argparse.ArgumentParser(prog="sfumato worker", description="The engine as hosts start it; see wire.py.")
    parser.add_argument("--host", default="", help="who started it, for whoever waits for the same GPU")
    parser.add_argument("--idle", type=float, default=120.0, help="seconds a GPU is kept without work")
    args = parser.parse_args(given)
    return serve(args.host, args.idle)


def _tools(args: argparse.Namespace, teller: Teller) -> int:
    if args.json:
        _print([tool.describe() for tool in sfumato_plugins.TOOLS])
    else:
        for tool in sfumato_plugins.TOOLS:
            print(f"{tool.name:10}{tool.help}")
    return 0


def _version() -> str:
    from sfumato import __version__

    return __version__


def program() -> None:
    """The installed command: `main`, and out without tidying memory that the system takes back anyway."""
    leave(main())


if __name__ == "__main__":
    program()
