"""The matte tool: a plate and a trimap give alpha, foreground and background. Nothing learned from footage."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import Problem
from sfumato_plugins.parameters import Choice, Number, Several, Switch
from sfumato_plugins.tool import Images, Made, Needs, Tool

if TYPE_CHECKING:
    from sfumato.matte.shot import FrameInput
    from sfumato.matte.solve import Matte
    from sfumato_plugins.files import Files
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place
    from sfumato_plugins.segments import Plan

ONLY_LOOKED_AT = frozenset({"over"})  # changes no result
DESPILLING = ("despill", ("green", "blue"))  # what the other despill parameters wait for
MINUTES = {"preview": 0.1, "standard": 1.0, "final": 2.0}  # an HD frame, a tenth of it unknown, on two cores
LAYERS = ("fg", "bg", "confidence", "trimap", "spill")


def chunks(job: Job) -> tuple[tuple[int, ...], ...]:
    """Keyframes first, then the frames between each two of them; in `preview` every frame alone."""
    from sfumato_plugins.segments import segments

    files = _files(job)
    written = set(files.written)
    cut = (tuple(f for f in segment if f in written) for segment in segments(_plan(job, files)))
    return tuple(segment for segment in cut if segment)


def _files(job: Job) -> Files:
    from sfumato_plugins.files import Files  # hosts load the declaration at their start, this with the first job

    return Files(MATTE, job)


def _plan(job: Job, files: Files) -> Plan:
    from sfumato_plugins.segments import plan

    return plan(files.shot, MATTE.values(job)["quality"])


def keys(job: Job) -> frozenset[int]:
    """Keyframes, where other frames start from them."""
    cut = _plan(job, _files(job))
    return frozenset(cut.keys) if len(cut.keys) < len(cut.frames) else frozenset()


def minutes(job: Job) -> float:
    return MINUTES[MATTE.values(job)["quality"]]


def needs(job: Job) -> Callable[[int], Needs]:
    """A frame depends on its neighbours and its keyframes, and on the frames whose trimap is carried to it."""
    from sfumato_plugins.segments import reads, surrounding

    files = _files(job)
    cut = _plan(job, files)
    keyed = MATTE.values(job)["keyed_trimap"]

    def of(frame: int) -> Needs:
        looked_at = reads(frame, cut)
        found = {read: None for f in looked_at for read in files.all_of(f, ONLY_LOOKED_AT)}
        if keyed:
            for key in {key for f in looked_at for key in trimap_gap(files, f)}:
                found.update({read: None for name in ("plate", "trimap") if (read := files.read(name, key))})
        files_in_order = tuple(sorted(found, key=lambda r: (r.input, r.frame)))
        return Needs(files_in_order, {"keyframes": list(surrounding(frame, cut)), "radius": cut.radius})

    return of


def trimap_keys(files: Files) -> tuple[int, ...]:
    """Frames of the job that have a trimap of their own."""
    there = set(files.on_disk["trimap"])
    return tuple(f for f in files.shot if f in there)


def trimap_gap(files: Files, frame: int) -> tuple[int, ...]:
    """The frames whose trimaps are carried to this one: itself, or the painted ones before and after."""
    there = trimap_keys(files)
    at = bisect.bisect_left(there, frame)
    return (frame,) if frame in there[at : at + 1] else there[max(at - 1, 0) : at + 1]


def run(job: Job, frames: Sequence[int], report: Callable[[Any], None], place: Place) -> Iterator[Made]:
    """Solve frames and write them; each is yielded when its files are complete."""
    from sfumato.matte.settings import preset
    from sfumato.matte.shot import solve_shot
    from sfumato_plugins.matting.inputs import ShotInputs
    from sfumato_plugins.matting.outputs import write_matte

    files = _files(job)
    cut = _plan(job, files)
    values = MATTE.values(job)
    inputs = ShotInputs(job, files, values, place)
    solved = solve_shot(
        tuple(frames),
        cut.frames,
        cut.keys,
        inputs.load,
        preset(values["quality"]),
        job.seed,
        report,
        radius=cut.radius,
        store=place.store,
        device=place.device,
    )
    for frame, matte in solved:
        written = write_matte(job, values, frame, inputs.source(frame), matte, place)
        yield Made(frame, written, {**inputs.stats(frame), **residual(inputs.load(frame), matte), **matte.stats})


def residual(inputs: FrameInput, matte: Matte) -> dict[str, float]:
    """How well alpha, foreground and background give the plate back in the unknown band, in the plate's own units."""
    from sfumato.matte.metrics import recomposite_residual

    rms, most = recomposite_residual(inputs.image, matte.alpha, matte.foreground, matte.background, inputs.trimap)
    return {"residual": rms, "residual_max": most}


def channels(job: Job) -> int:
    values = MATTE.values(job)
    sizes = {"fg": 3, "bg": 3, "confidence": 1, "trimap": 1, "spill": 1}
    return 1 if values["alpha_only"] else 4 + sum(sizes[layer] for layer in values["layers"])


def finish(job: Job, result: Mapping[str, Any], report: Callable[[Any], None], place: Place) -> None:
    """The page an artist looks at first, where the job asks for one."""
    if job.output("page"):
        from sfumato_plugins.matting.review import make_page

        make_page(MATTE, job, result, report, place)


def problems(job: Job) -> list[Problem]:
    """Where the trimap comes from, and options that exclude each other."""
    values = MATTE.values(job)
    given = set(job.inputs)
    found = []
    sources = [name for name in ("trimap", "core", "roto") if name in given]
    if not sources:
        hint = "give a trimap; or a core and a garbage matte; or a roto with erode and dilate"
        found.append(Problem("inputs", "nothing says where the edge is", hint))
    elif len(sources) > 1:
        found.append(Problem(f"inputs.{sources[1]}", f"{sources[0]} already says where the edge is", "give only one"))
    elif sources == ["core"] and "garbage" not in given:
        hint = "a core matte says what is surely inside; the garbage matte says what is surely outside"
        found.append(Problem("inputs.garbage", "is missing beside the core matte", hint))
    if values["keyed_trimap"] and "trimap" not in given:
        found.append(Problem("params.keyed_trimap", "there is no trimap to carry between keys", "give a trimap"))
    elif values["keyed_trimap"] and not all(trimap_keys(_files(one)) for one in job.each_view()):
        hint = "paint a trimap on one of the job's frames, better on the first and the last"
        found.append(Problem("inputs.trimap", "no frame of the job has a trimap to carry to the others", hint, 3))
    if values["alpha_only"] and "layers" in job.params:
        found.append(Problem("params.layers", "alpha_only writes no layers", "leave one of the two out"))
    if values["half"] and values["compact"]:
        found.append(Problem("params.compact", "is half colour and float alpha; half makes all half", "leave one out"))
    output = job.outputs.get("matte", "")
    if output and not output.lower().endswith(".exr"):
        found.append(Problem("outputs.matte", f"{output} is not an EXR", "write .exr: layers and floats need it"))
    return found


MATTE = Tool(
    name="matte",
    label="Matte",
    help="A plate and a trimap give alpha, foreground colour and background, without learned weights.",
    inputs=(
        Images("plate", "Plate", "the picture, scene-linear EXR or a display-coded still", True, colour=True),
        Images("trimap", "Trimap", "white inside, black outside, grey to be solved"),
        Images("roto", "Roto or key", "any soft matte; its edge becomes the unknown band (--erode, --dilate)"),
        Images("core", "Core matte", "white where surely foreground; together with a garbage matte"),
        Images("garbage", "Garbage matte", "white where surely background; wins over trimap and holdout"),
        Images("holdout", "Holdout matte", "white where surely foreground; wins over the trimap"),
        Images("hold_in", "Hold-in strokes", "painted foreground on any frame; wins over all mattes", sparse=True),
        Images("hold_out", "Hold-out strokes", "painted background on any frame; wins over everything", sparse=True),
        Images("clean_plate", "Clean plate", "the background without the subject, where it is known", colour=True),
        Images("over", "Over", "a new background, on the page only", colour=True, sparse=True, any_size=True),
    ),
    outputs=(
        Images("matte", "Matte", "EXR with A = alpha and RGB = alpha x foreground", True, option="out"),
        Images("page", "Page", "a page to look at first", option="html", suffix=".html"),
    ),
    parameters=(
        Choice(
            "quality",
            "Quality",
            "preview: classical, seconds; standard; final",
            "standard",
            options=("preview", "standard", "final"),
        ),
        Number("erode", "Erode", "unknown band inside the roto's edge", 10, "Trimap", high=500, unit="px"),
        Number("dilate", "Dilate", "unknown band outside the roto's edge", 10, "Trimap", high=500, unit="px"),
        Switch("keyed_trimap", "Keyed trimap", "trimaps on some frames; carried to the others", False, "Trimap"),
        Choice("despill", "Despill", "take screen colour out of F", "off", "Despill", options=("off", "green", "blue")),
        Choice(
            "despill_limit",
            "Despill limit",
            "the screen's channel is held to this of the two others; max is gentler",
            "average",
            "Despill",
            when=DESPILLING,
            options=("average", "max"),
        ),
        Number("despill_strength", "Despill strength", "how much of the spill goes", 1, "Despill", when=DESPILLING),
        Choice(
            "rgb",
            "RGB",
            "premultiplied: alpha x F, ready to merge over; straight: F",
            "premultiplied",
            "Output",
            options=("premultiplied", "straight"),
        ),
        Several(
            "layers",
            "Layers",
            "written besides RGBA",
            ("fg", "bg", "confidence"),
            "Output",
            when=("alpha_only", (False,)),
            options=LAYERS,
        ),
        Switch("alpha_only", "Alpha only", "write A and nothing else", False, "Output"),
        Switch("half", "Half", "16-bit floats for every channel", False, "Output"),
        Switch("compact", "Compact", "half colour, float alpha and confidence", False, "Output"),
        Choice(
            "compression",
            "Compression",
            "dwaa and dwab are lossy",
            "zip",
            "Output",
            options=("zip", "zips", "piz", "rle", "none", "dwaa", "dwab"),
        ),
        Choice(
            "device", "Device", "what computes", "auto", "Output", changes_result=False, options=("auto", "cpu", "cuda")
        ),
    ),
    chunks=chunks,
    needs=needs,
    run=run,
    problems=problems,
    finish=finish,
    channels=channels,
    keys=keys,
    minutes=minutes,
    sparse=lambda job: frozenset({"trimap"} if job.params.get("keyed_trimap") else ()),
)
