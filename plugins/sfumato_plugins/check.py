"""Everything wrong with a job, in one list. Neither part imports torch; only the second needs the engine's Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import sfumato_plugins
from sfumato_plugins.errors import JobError, Problem, nearest
from sfumato_plugins.files import Files
from sfumato_plugins.job import Job, field_problems
from sfumato_plugins.template import for_layer, template_problems
from sfumato_plugins.tool import Images, Tool

if TYPE_CHECKING:
    from sfumato.header import Part


def problems(job: Job) -> list[Problem]:
    """All that `problems_here` and `problems_inside` find, in that order."""
    here = problems_here(job)
    if any(p.where == "tool" for p in here):
        return here
    return here + problems_inside(job)


def problems_here(job: Job) -> list[Problem]:
    """Fields, parameters, frames and existence, by the standard library alone: what a host can say by itself."""
    try:
        tool = sfumato_plugins.tool(job.tool)
    except JobError as error:
        return error.problems
    found = field_problems(job.to_json()) + _names(tool, job) + tool.parameter_problems(job.params)
    if not found:
        found += tool.problems(job)
    found += template_problems(job) + _views(job)
    if not job.frames:
        return [*found, Problem("frames", "is empty", "name at least one frame")]
    for one in job.each_view():
        found += Files(tool, one).problems()
        found += _outputs(tool, one)
    return _once(found)


def problems_inside(job: Job) -> list[Problem]:
    """What only the engine can see: colour names and the headers of every file that is there."""
    tool = sfumato_plugins.tool(job.tool)
    found = _colour(tool, job)
    for one in job.each_view():
        found += _headers(tool, one)
    if not tool.parameter_problems(job.params):
        found += tool.problems_inside(job)
    return _once(found)


def _once(found: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(found))


def _names(tool: Tool, job: Job) -> list[Problem]:
    found = []
    for group, given, known in (
        ("inputs", job.inputs, tool.inputs),
        ("outputs", job.outputs, tool.outputs),
    ):
        names = {item.name for item in known}
        for name in given:
            if name not in names:
                found.append(Problem(f"{group}.{name}", f"{tool.name} has no such {group[:-1]}", nearest(name, names)))
        found += [
            Problem(f"{group}.{i.name}", "is missing", i.help) for i in known if i.required and i.name not in given
        ]
    return found


def _views(job: Job) -> list[Problem]:
    texts = {f"inputs.{n}": t for n, t in job.inputs.items()}
    texts.update({f"outputs.{n}": t for n, t in job.outputs.items()})
    asking = [where for where, text in texts.items() if "%V" in text or "%v" in text or "{view}" in text]
    if asking and not job.views:
        return [Problem(asking[0], "asks for a view, and the job names none", "say --views left,right")]
    found = []
    for name, text in job.outputs.items():
        if len(job.views) > 1 and not any(word in text for word in ("%V", "%v", "{view}")):
            found.append(Problem(f"outputs.{name}", "both views would be one file", "put %V into the name"))
    return found


def _outputs(tool: Tool, job: Job) -> list[Problem]:
    main = job.output(tool.main_output.name)
    if main is None:
        return []
    where = f"outputs.{tool.main_output.name}"
    found = []
    if not main.is_sequence and len(job.written) > 1:
        what = f"{os.path.basename(main.text)} is one file for {len(job.written)} frames"
        found.append(Problem(where, what, "put #### where the frame number goes"))
    mine = {os.path.normcase(os.path.abspath(main.at(f))) for f in job.written}
    for name in job.inputs:
        given = job.input(name)
        if given and any(os.path.normcase(os.path.abspath(given.at(f))) in mine for f in job.shot):
            found.append(Problem(where, f"would overwrite the input {name}", "write somewhere else"))
    for item in tool.outputs:
        target = job.output(item.name)
        if target and "{" not in os.path.dirname(target.text):
            found += writable(f"outputs.{item.name}", os.path.dirname(target.text) or ".")
    return found


def writable(where: str, folder: str) -> list[Problem]:
    """Why the folder, or the nearest one above it that is there, takes no new files; nothing where it does."""
    there = folder
    while not os.path.exists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    if not os.path.isdir(there):
        return [Problem(where, f"{there} is a file, not a folder", "write somewhere else")]
    if not os.access(there, os.W_OK | os.X_OK):
        return [Problem(where, f"no permission to write in {there}", "write somewhere else, or ask for the permission")]
    return []


def _colour(tool: Tool, job: Job) -> list[Problem]:
    from sfumato.errors import RequestError
    from sfumato_plugins.colour import config_of

    try:
        config = config_of(job)
    except RequestError as error:
        return [Problem("color.config", error.message, error.hint)]
    found = []
    promised = job.color.get("config_hash")
    if promised and promised != config.hash:
        what = f"{config.name} is not the config this job was made with ({config.hash[:12]}, not {promised[:12]})"
        found.append(Problem("color.config_hash", what, "make the job again, or bring the old config back"))
    known = {i.name for i in tool.inputs if i.colour}
    for name, space in job.color.items():
        if name in ("config", "config_hash", "context"):
            continue
        if name not in known:
            found.append(Problem(f"color.{name}", "is not a colour input", nearest(name, known | {"config"})))
        elif not isinstance(space, str) or not config.has(space):
            near = config.nearest(str(space))
            hint = f"did you mean {' or '.join(near)}?" if near else f"see the list with: ociocheck {config.name}"
            found.append(Problem(f"color.{name}", f"{space!r} is not a colour space of {config.name}", hint))
    return found


def _headers(tool: Tool, job: Job) -> list[Problem]:
    """Every file opens, is flat, holds colour where colour is wanted, and has the plate's size."""
    files = Files(tool, job)
    found: list[Problem] = []
    plates: dict[int, Part] = {}
    main = tool.main_input
    for item in (main, *(i for i in tool.inputs if i is not main)):
        if item.name not in job.inputs or not item.picture:
            continue
        seen: dict[str, Part | None] = {}
        for frame in files.shot:
            read = files.read(item.name, frame)
            if read is None or not os.path.isfile(read.path):
                continue
            if read.path not in seen:
                seen[read.path] = _part(item, read.path, job.view, found)
            part = seen[read.path]
            if part and item is main:
                plates[frame] = part
            if part:
                found += _size(item, read.path, part, plates.get(frame))
    if plates and not tool.parameter_problems(job.params):
        found += _room(tool, job, files, next(iter(plates.values())))
    return found


def _part(item: Images, path: str, view: str | None, found: list[Problem]) -> Part | None:
    from sfumato.errors import SfumatoError
    from sfumato.io import read_header

    where = f"inputs.{item.name}"
    try:
        header = read_header(path)
    except SfumatoError as error:
        found.append(Problem(where, error.message, error.hint, error.exit_code))
        return None
    if header.deep:
        hint = "flatten it first (DeepToImage in Nuke) and give the flat file"
        found.append(Problem(where, f"{path} holds deep samples", hint, 3))
        return None
    if item.colour and not header.main.has_colour:
        found.append(Problem(where, f"{path} has no R, G, B: {', '.join(header.main.channels)}", "give the plate", 3))
        return None
    return header.main


def _size(item: Images, path: str, part: Part, plate: Part | None) -> list[Problem]:
    if plate is None or plate is part:
        return []
    a, b = part.display, plate.display
    if (a.width, a.height) == (b.width, b.height) or item.any_size:
        return []
    what = f"{os.path.basename(path)} is {a.width} x {a.height}, the plate is {b.width} x {b.height}"
    return [Problem(f"inputs.{item.name}", what, "give it at the plate's size: same format, no proxy")]


def _room(tool: Tool, job: Job, files: Files, plate: Part) -> list[Problem]:
    """Whether the disk holds the results, uncompressed."""
    import shutil

    main = job.output(tool.main_output.name)
    if main is None or "{version}" in main.text:
        return []
    folder = os.path.dirname(for_layer(main, "rgba").text) or "."
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    todo = [f for f in files.written if not os.path.isfile(for_layer(main, "rgba").at(f))]
    wanted = len(todo) * plate.data.width * plate.data.height * 4 * tool.channels(job)
    free = shutil.disk_usage(folder).free
    if wanted <= free:
        return []
    what = f"{-(-wanted // 2**20):,} MiB may be needed in {folder}, {free // 2**20:,} MiB are free"
    return [Problem(f"outputs.{tool.main_output.name}", what, "make room, or write --compact or --alpha-only")]
