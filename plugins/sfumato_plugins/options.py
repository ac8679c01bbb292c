"""A tool's command-line options, made from its description, and the job they ask for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from sfumato_plugins.errors import JobError, wrong
from sfumato_plugins.files import nothing_there
from sfumato_plugins.frames import Pattern, parse_frames
from sfumato_plugins.job import MISSING, Job
from sfumato_plugins.parameters import (
    Boxes,
    Choice,
    Factors,
    ModelFolder,
    Number,
    Parameter,
    PictureSize,
    Prompt,
    Several,
    Switch,
    Whole,
    missing,
)
from sfumato_plugins.settings import Settings
from sfumato_plugins.tool import Tool


def add_options(parser: argparse.ArgumentParser, tool: Tool) -> None:
    """An option for every input, output and parameter, and those every tool has."""
    files = parser.add_argument_group("files", "#### or %04d is the frame number, %V the view; one file is a still")
    for item in tool.inputs:
        flag = item.option or item.name.replace("_", "-")
        files.add_argument(f"--{flag}", dest=f"input_{item.name}", metavar="FILE", help=item.help)
    for item in tool.outputs:
        flag = item.option or item.name.replace("_", "-")
        files.add_argument(f"--{flag}", dest=f"output_{item.name}", metavar="FILE", help=item.help)
    groups = {"": parser.add_argument_group("parameters")}
    for parameter in tool.parameters:
        if parameter.group not in groups:
            groups[parameter.group] = parser.add_argument_group(parameter.group.lower())
        _add(groups[parameter.group], parameter)
    _add_common(parser.add_argument_group("shot"), whole=tool.whole)


def _add(group: argparse._ArgumentGroup, parameter: Parameter) -> None:
    flag, dest = f"--{parameter.name.replace('_', '-')}", f"param_{parameter.name}"
    if isinstance(parameter, Switch):
        group.add_argument(flag, dest=dest, action=argparse.BooleanOptionalAction, default=None, help=parameter.help)
        return
    if isinstance(parameter, Boxes):
        help = f"{parameter.help}; may be given several times"
        group.add_argument(flag, dest=dest, action="append", metavar="WORDS:L,T,R,B", help=help)
        return
    kinds: dict[type, Any] = {Whole: int, Number: float, Several: _words}
    said = f" (default: {parameter.default})" if parameter.default not in ("", None) else ""
    if isinstance(parameter, Several):
        said = f" (default: {','.join(parameter.default)}; of {', '.join(parameter.options)})"
    group.add_argument(
        flag,
        dest=dest,
        type=kinds.get(type(parameter), parameter.read),
        choices=parameter.options if isinstance(parameter, Choice) else None,
        metavar=_metavar(parameter),
        help=f"{parameter.help}{said}".replace("%", "%%"),
    )


def _metavar(parameter: Parameter) -> str | None:
    """What stands for the value in --help; None where argparse lists the choices."""
    if isinstance(parameter, Choice):
        return None
    names: dict[type, str] = {
        Several: "LIST",
        Prompt: "WORDS",
        ModelFolder: "PATH",
        Factors: "WORD=N,...",
        PictureSize: "WxH",
    }
    return getattr(parameter, "unit", "").upper() or names.get(type(parameter), "N")


def _words(text: str) -> list[str]:
    return [word for word in text.replace(" ", "").split(",") if word]


def _add_common(group: argparse._ArgumentGroup, *, whole: bool) -> None:
    if not whole:
        _add_frames(group)
    else:
        group.set_defaults(frames=None, views=None, handles=0, context=0, missing="error", colorspace=None)
    group.add_argument("--seed", metavar="N", type=int, default=0, help="another seed, other noise (default: 0)")
    group.add_argument("--config", metavar="OCIO", help="colour config (default: $OCIO, else built in)")
    for name in ("show", "shot", "task"):
        group.add_argument(f"--{name}", metavar="NAME", help=f"{{{name}}} in the output's name")
    group.add_argument("--output-version", metavar="vNNN", help="{version} in the output's name (default: the next)")
    group.add_argument("--save-job", metavar="FILE", help="write the job file and stop, for `sfumato run`")


def _add_frames(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--frames", metavar="R", help="1001-1048, 1001-1048x2, 1,3,5-9 (default: all there are)")
    group.add_argument("--views", metavar="NAMES", type=_words, help="left,right: what %%V stands for")
    group.add_argument("--handles", metavar="N", type=int, default=0, help="write N more frames at both ends")
    group.add_argument("--context", metavar="N", type=int, default=0, help="read N more at both ends, not written")
    group.add_argument("--missing", choices=MISSING, default="error", help="what to do without an input frame")
    group.add_argument("--colorspace", metavar="NAME", help="the plate's colour space (default: what the file says)")


def job_from(args: argparse.Namespace, tool: Tool, settings: Settings) -> Job:
    """The job that options ask for; paths start from the current folder.

    Raises:
        JobError: an option is missing or cannot be read.
    """
    given = vars(args)
    inputs = {i.name: given[f"input_{i.name}"] for i in tool.inputs if given.get(f"input_{i.name}")}
    outputs = {o.name: o.meant(given[f"output_{o.name}"]) for o in tool.outputs if given.get(f"output_{o.name}")}
    if tool.main_output.name not in outputs and settings.get("output") and not tool.whole:
        outputs[tool.main_output.name] = settings.get("output")
    params = {p.name: given[f"param_{p.name}"] for p in tool.parameters if given.get(f"param_{p.name}") is not None}
    params = {name: "; ".join(v) if name in _boxes(tool) else v for name, v in params.items()}
    absent = [f"--{i.option or i.name}" for i in tool.inputs if i.required and i.name not in inputs]
    absent += [f"--{p.name.replace('_', '-')}" for p in missing(tool.parameters, params)]
    absent += [f"--{o.option or o.name}" for o in tool.outputs if o.required and o.name not in outputs]
    if absent:
        command = f"{tool.name} {tool.verb}".strip()
        raise wrong("", f"{' and '.join(absent)} must be given", f"see: sfumato {command} --help")
    if "device" not in params and settings.get("device"):
        params["device"] = settings.get("device")
    if args.handles < 0 or args.context < 0:
        raise wrong("handles", "--handles and --context count frames and are not negative")
    return Job(
        tool=tool.name,
        frames=_frames(args, tool, inputs, params),
        inputs=inputs,
        outputs=outputs,
        params=params,
        color=_color(args, settings),
        seed=args.seed,
        views=tuple(args.views or ()),
        handles=args.handles,
        context=args.context,
        missing=args.missing,
        names=_names(args, settings),
        base=os.getcwd(),
    )


def _boxes(tool: Tool) -> set[str]:
    return {p.name for p in tool.parameters if isinstance(p, Boxes)}


def _frames(
    args: argparse.Namespace, tool: Tool, inputs: Mapping[str, str], params: Mapping[str, Any]
) -> tuple[int, ...]:
    if args.frames:
        return parse_frames(args.frames)
    if tool.span:
        return tool.span({name: os.path.abspath(path) for name, path in inputs.items()}, params)
    name = tool.main_input.name
    pattern = Pattern(os.path.abspath(inputs[name]))
    there = pattern.for_view(args.views[0] if args.views else None).on_disk()
    if not there:
        raise JobError(nothing_there(f"inputs.{name}", pattern.text))
    return there


def _color(args: argparse.Namespace, settings: Settings) -> Mapping[str, Any]:
    config = args.config or (settings.get("config") if not os.environ.get("OCIO") else None)
    found = {"config": config, "plate": args.colorspace}
    return {name: value for name, value in found.items() if value}


def _names(args: argparse.Namespace, settings: Settings) -> Mapping[str, str]:
    found = {"show": args.show or settings.get("show"), "shot": args.shot, "task": args.task}
    return {name: str(value) for name, value in {**found, "version": args.output_version}.items() if value}
