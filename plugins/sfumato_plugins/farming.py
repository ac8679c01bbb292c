"""The commands of the farm: `queue run` on this machine, `farm export` for others."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from sfumato_plugins.farm import KINDS
from sfumato_plugins.farm.plan import CHUNK
from sfumato_plugins.report import Teller

QUEUE = """\
Tasks run side by side in Open Job Description sessions, each a process of its own. A slot is a GPU, or the CPU. Every
task computes with as many threads as `sfumato run` would, also beside others: on a CPU the number of threads decides
the last bits. Keyframes come first; what lies between starts when its keyframes are there.

Beside the output M.####.exr lie M.queue.json, the journal, and M.queue-logs, the logs of tasks that failed, until the
job is complete. Run the same command again after a kill, a crash or a cancel: frames that are complete are kept, the
rest goes on."""


def add_commands(commands: Any, exit_codes: str) -> None:
    """Add `queue run` and `farm export`."""
    _add_queue(commands.add_parser("queue", help="compute a job in parts on this machine"), exit_codes)
    _add_farm(commands.add_parser("farm", help="send a job to a farm"), exit_codes)


def _add_queue(parser: argparse.ArgumentParser, exit_codes: str) -> None:
    command = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "run",
        help="compute a job file, several tasks at once",
        description=QUEUE,
        epilog=exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("job", metavar="job.json")
    command.add_argument("--slots", type=int, metavar="N", help="tasks at once (default: the GPUs; one on the CPU)")
    command.add_argument("--retries", type=int, default=2, metavar="N", help="of a failed task (default: 2)")
    command.add_argument(
        "--chunk", type=int, default=CHUNK, metavar="N", help=f"frames a task at preview (default: {CHUNK})"
    )
    command.add_argument("--timeout", type=float, metavar="MINUTES", help="after which a task counts as failed")
    command.add_argument("--json", action="store_true", help="one JSON document on stdout, everything else on stderr")
    command.add_argument("--progress", choices=("auto", "terminal", "openjd", "quiet"), default="auto")
    command.set_defaults(go=_queue, more_time=0.6)


def _add_farm(parser: argparse.ArgumentParser, exit_codes: str) -> None:
    outs = "\n".join(f"  {name:15} {what}" for name, what in KINDS.items())
    command = parser.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "export",
        help="write a job the way a farm reads it",
        description=f"What OUT is:\n{outs}\n\nOptions that are not given are those of [farm] in the settings.",
        epilog=exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("job", metavar="job.json")
    command.add_argument("out", metavar="OUT")
    command.add_argument("--to", required=True, choices=tuple(KINDS), dest="kind")
    group = command.add_argument_group("farm")
    group.add_argument("--command", metavar="PATH", help="sfumato on the farm's machines (default: sfumato)")
    group.add_argument("--name", metavar="TEXT", help="of the job (default: tool and shot)")
    group.add_argument("--pool", metavar="NAME")
    group.add_argument("--group", metavar="NAME")
    group.add_argument("--priority", type=int, metavar="N", help="0 to 100 (default: 50)")
    group.add_argument("--limit", action="append", dest="limits", metavar="NAME", help="may be given again")
    group.add_argument("--env", action="append", dest="environment", metavar="K=V", help="may be given again")
    group.add_argument("--gpu-memory", type=float, metavar="GIB", help="that a machine must have")
    group.add_argument("--memory", type=float, metavar="GIB", help="that a machine must have")
    group.add_argument("--cores", type=int, metavar="N", help="that a machine must have")
    group.add_argument("--minutes", type=float, metavar="N", help="a task is expected to take; stopped after ten times")
    group.add_argument("--chunk", type=int, metavar="N", help=f"frames a task at preview (default: {CHUNK})")
    group.add_argument("--retries", type=int, metavar="N", help="of a failed task (default: 2)")
    group.add_argument("--os", choices=("linux", "windows", "macos"), help="of the farm's machines (default: this one)")
    group.add_argument(
        "--path",
        action="append",
        dest="paths",
        metavar="ROW",
        help='the same folder by system: "linux=/shows; windows=S:/shows"; may be given again',
    )
    command.add_argument("--json", action="store_true", help="one JSON document on stdout")
    command.set_defaults(go=_export, progress="quiet")


def _queue(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.queue import run_queue
    from sfumato_plugins.queue_journal import summary

    done = run_queue(
        args.job, slots=args.slots, retries=args.retries, chunk=args.chunk, timeout=args.timeout, teller=teller
    )
    teller.end()
    if args.json:
        print(json.dumps(done, indent=1))
    for line in summary(done):
        teller.say(line)
    code: int = done["exit_code"]
    return code


def _export(args: argparse.Namespace, teller: Teller) -> int:
    from sfumato_plugins.farm import export, next_step
    from sfumato_plugins.farm.options import options
    from sfumato_plugins.settings import load_settings

    names = "command name pool group priority limits environment gpu_memory memory cores minutes chunk retries os paths"
    given = {name: getattr(args, name) for name in names.split()}
    wanted = options(load_settings(start=os.path.dirname(os.path.abspath(args.job))), given)
    written = export(args.job, args.kind, args.out, wanted)
    step = next_step(args.kind, written, args.job)
    if args.json:
        print(json.dumps({"written": written, "next": step}, indent=1))
    else:
        print("\n".join([*(f"wrote {path}" for path in written), f"next  {step}"]))
    return 0
