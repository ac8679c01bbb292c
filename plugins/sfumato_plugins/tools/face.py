"""The face tool: markers and a rig give animation curves, in stages that an artist can correct. After FDLS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import Problem
from sfumato_plugins.parameters import Choice, Number, NumberOr, Switch, Text
from sfumato_plugins.tool import Images, Made, Needs, Read, Tool

if TYPE_CHECKING:
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place

STAGES = ("stabilise", "clean", "features", "jaw", "regions", "finetune", "all")
MARKERS = (".c3d", ".trc", ".csv", ".usd", ".usda", ".usdc", ".usdz", ".json")
EXPORTS = (".anim", ".ma", ".csv", ".usd", ".usda", ".usdc", ".json")
ONLY_LOOKED_AT = frozenset({"reference", "previous"})  # changes no curve
LONG = 1e7  # frames: as far as a timeline goes


def chunks(job: Job) -> tuple[tuple[int, ...], ...]:
    """One take, one piece: what a frame is depends on those before and after it."""
    return (job.written,)


def needs(job: Job) -> Callable[[int], Needs]:
    """The take, the rig, the solver, the map, and whatever an artist has changed in the folder since."""
    import sfumato_plugins
    from sfumato_plugins.facing.folder import changed_by_hand
    from sfumato_plugins.files import Files

    files = Files(sfumato_plugins.tool(job.tool), job)
    aside = ONLY_LOOKED_AT if "export" in job.outputs else ONLY_LOOKED_AT | {"map"}

    def of(frame: int) -> Needs:
        reads = [one for read in files.all_of(frame, aside) for one in _each(read)]
        return Needs(tuple(reads), changed_by_hand(folder_of(job)))

    return of


def _each(read: Read) -> Iterator[Read]:
    """The file, or every file of a folder that stands for one."""
    if not os.path.isdir(read.path):
        yield read
        return
    names = sorted(os.path.join(at, name) for at, _, names in os.walk(read.path) for name in names)
    yield from (Read(read.input, number, path) for number, path in enumerate(names, 1))


def folder_of(job: Job) -> str:
    """The folder of a job's solve."""
    pattern = job.output("solve")
    assert pattern is not None, "check says so first"
    return os.path.dirname(pattern.text) or "."


def run(job: Job, frames: Sequence[int], report: Callable[[Any], None], place: Place) -> Iterator[Made]:
    """Solve the take as far as the job says; yielded when the curves are on disk."""
    from sfumato_plugins.facing.solving import solve

    for frame in frames:
        files, stats = solve(job, FACE.values(job), report, place)
        yield Made(frame, files, stats)


def finish(job: Job, result: Mapping[str, Any], report: Callable[[Any], None], place: Place) -> None:
    """The export and the review page, where they were asked for."""
    page, wanted = job.output("page"), job.output("export")
    if wanted:
        from sfumato_plugins.facing.exporting import export
        from sfumato_plugins.facing.inputs import path_of

        export(folder_of(job), wanted.text, FACE.values(job), path_of(job, "map"), place.note)
    if page:
        from sfumato_plugins.facing.review import make_page

        make_page(folder_of(job), page.text, report, place.note)


def problems(job: Job) -> list[Problem]:
    """What is wrong that needs no file opened: endings, timecode, parameters that cannot go together."""
    values = FACE.values(job)
    found = []
    if len(job.written) != 1:
        hint = "give it the frames 1; --start, --timecode and --offset say where it lies"
        found.append(Problem("frames", "a take is solved as one piece", hint))
    found += _endings(job)
    if values["timecode"]:
        from sfumato_plugins.errors import JobError
        from sfumato_plugins.facing.timeline import timecode_seconds

        try:  # the rate may be known only when the take is read: 1000 has every frame
            timecode_seconds(values["timecode"], 1000)
        except JobError as error:
            found += error.problems
    if values["stage"] not in ("all", "finetune") and "export" in job.outputs:
        hint = "solve all stages, or leave --export out"
        found.append(Problem("outputs.export", f"nothing is exported after the stage {values['stage']}", hint))
    if values["method"] == "staged" and "solver" not in job.inputs:
        hint = "give --solver, or --method clip; `sfumato face train` makes a solver"
        found.append(Problem("params.method", "the learned stages need a trained solver", hint))
    return found


def problems_inside(job: Job) -> list[Problem]:
    """What is wrong with the take, the rig and whatever else has to be opened to see it."""
    from sfumato_plugins.facing.preflight import opened_problems

    return opened_problems(job, FACE.values(job))


def _endings(job: Job) -> Iterator[Problem]:
    for group, name, known, what in (
        ("inputs", "markers", MARKERS, "no file of markers"),
        ("outputs", "solve", (".json",), "not a solve.json"),
        ("outputs", "export", EXPORTS, "nothing that curves are written to"),
        ("outputs", "page", (".html",), "no page"),
    ):
        text = getattr(job, group).get(name, "")
        if text and not text.lower().endswith(known):
            yield Problem(f"{group}.{name}", f"{text} is {what}", f"it ends in {' or '.join(known)}")


def weights(job: Job) -> str:
    """Name, SHA-256 and licence of the solver; none without one."""
    solver = job.input("solver")
    if solver is None or FACE.values(job)["method"] == "clip":
        return "none"
    from sfumato_plugins.facing.inputs import solver_words

    return solver_words(solver.text)


def verbs(parsers: Any, epilog: str) -> None:
    """The commands beside solve."""
    from sfumato_plugins.facing.command import add_commands

    add_commands(parsers, epilog)


FACE = Tool(
    name="face",
    label="Face",
    help="From facial markers and a rig to animation curves, in stages that an artist can correct (after FDLS).",
    inputs=(
        Images("markers", "Markers", "the take: C3D, TRC, CSV, USD points or our JSON", True, picture=False,
               holds="markers"),
        Images("rig", "Rig", "npz, glTF, USD, or a folder of OBJ shapes", True, picture=False, folder=True),
        Images("solver", "Solver", "what `sfumato face train` learned of this actor (default: none, the whole clip is "
               "solved classically)", picture=False, suffix=".safetensors"),
        Images("binding", "Binding", "where the markers sit on the rig: markers of one frame, on the neutral face "
               "(default: the rig says it, or the take is laid onto it)", picture=False, suffix=".json"),
        Images("map", "Control map", "which control drives which attribute of the rig in Maya, for --export",
               picture=False, suffix=".json"),
        Images("reference", "Reference", "pictures or video frames of the take, numbered as the timeline, for the page",
               colour=True, sparse=True, any_size=True),
        Images("previous", "Previous", "the folder of an earlier version, for the page", picture=False, folder=True,
               inside="solve.json", suffix=".json"),
    ),
    outputs=(
        Images("solve", "Folder", "folder of the solve: curves.json, and a file for each stage", True, picture=False,
               option="out", inside="solve.json", suffix=".json", holds="curves"),
        Images("page", "Page", "a review page (.html)", picture=False, option="html", suffix=".html"),
        Images("export", "Export", "the curves once more: .anim, .ma, .csv (Live Link Face), .usda", picture=False,
               suffix=".anim"),
    ),
    parameters=(
        Choice("stage", "Stage", "how far to go; stages that are done and still right are kept", "all",
               options=STAGES),
        Choice("method", "Method", "staged: jaw, then regions, by the solver; clip: the whole clip at once by least "
               "squares; auto: staged where there is a solver", "auto", options=("auto", "staged", "clip")),
        Choice("units", "Units", "of the markers' file, where it says none or lies", "auto", "Take",
               options=("auto", "mm", "cm", "m")),
        NumberOr("fps", "Rate", "samples a second, where the file says none or lies", "take", "Take", low=1, high=1000,
                 options=("take",)),
        Choice("up", "Up", "the axis that points up", "auto", "Take", options=("auto", "y", "z")),
        Text("actor", "Actor", "whose face this is; a solver of another actor is refused", "", "Take"),
        Switch("other_actor", "Other actor", "use a solver or data of another actor all the same", False, "Take"),
        NumberOr("start", "Start", "frame of the take's first sample; with a timecode, the frame that has it", "take",
                 "Timeline", low=-LONG, high=LONG, options=("take",)),
        Text("timecode", "Timecode", "of the frame Start, HH:MM:SS:FF, for a take that carries its own", "",
             "Timeline"),
        Number("offset", "Offset", "move the take by so many frames", 0.0, "Timeline", low=-LONG, high=LONG,
               unit="frames"),
        NumberOr("timeline_fps", "Timeline rate", "frames a second of the timeline", "take", "Timeline", low=1,
                 high=1000, options=("take",)),
        Choice("samples", "Samples", "between the timeline's frames: keep them; filter: smooth, then one a frame; "
               "nearest: one a frame", "keep", "Timeline", options=("keep", "filter", "nearest")),
        Number("tolerance", "Key tolerance", "keys of the export that a line between others meets so closely are left "
               "out; 0 keeps all", 0.0, "Export"),
        Text("namespace", "Namespace", "of the rig, for the export", "", "Export"),
    ),
    chunks=chunks,
    needs=needs,
    run=run,
    problems=problems,
    problems_inside=problems_inside,
    finish=finish,
    channels=lambda job: 0,
    minutes=lambda job: 0.5,
    weights=weights,
    trained_weights="none, or those of the solver, named with SHA-256 in every result",
    regional=False,
    device="cpu",
    whole=True,
    verb="solve",
    verbs=verbs,
    steps="stage",
)  # fmt: skip
