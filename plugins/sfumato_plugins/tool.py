"""What an artist can run, described once: command line, knobs, attributes and farm templates are all drawn from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.errors import Problem, nearest
from sfumato_plugins.parameters import Parameter, missing

if TYPE_CHECKING:
    from sfumato_plugins.job import Job
    from sfumato_plugins.place import Place


@dataclass(frozen=True)
class Images:
    """A file or a sequence of files that a tool reads or writes.

    required: The tool cannot do without it. Alternatives are the tool's own `problems` to judge.
    colour: Pixels are colour and have a space; False means data, never converted.
    sparse: Only some frames need a file: strokes, keyframes.
    any_size: Need not have the size of the main input.
    picture: False for a file that is none: hosts ask for its name instead of drawing an arrow.
    folder: A folder will do as well as a file.
    inside: The file that is meant where only a folder is named, and where that folder may be new.
    holds: "markers" or "curves", for hosts that can bring theirs or take these.
    option: The command-line option, where it is not the name itself.
    """

    name: str
    label: str
    help: str
    required: bool = False
    colour: bool = False
    sparse: bool = False
    any_size: bool = False
    picture: bool = True
    folder: bool = False
    inside: str = ""
    holds: str = ""
    option: str = ""
    suffix: str = ".exr"

    def meant(self, text: str) -> str:
        """The file that a name stands for: itself, or the one inside where it names a folder.

        >>> Images("solve", "Folder", "", inside="solve.json", suffix=".json").meant("shots/ab_010")
        'shots/ab_010/solve.json'
        """
        if not self.inside or text.lower().endswith(self.suffix):
            return text
        return f"{text.rstrip('/')}/{self.inside}"


@dataclass(frozen=True)
class Read:
    """One file that a frame's result depends on; `frame` is the one the file is used for."""

    input: str
    frame: int
    path: str


@dataclass(frozen=True)
class Needs:
    """All that one frame's result depends on besides parameters and seed: files, and JSON values under a name."""

    files: tuple[Read, ...]
    also: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """One finished frame: its files are complete on disk. `stats` are JSON values: iterations, residual, seconds."""

    frame: int
    files: tuple[str, ...]
    stats: Mapping[str, Any]


def _nothing(job: Job) -> list[Problem]:
    return []


@dataclass(frozen=True)
class Tool:
    """One thing an artist can run.

    problems: What the tool itself finds wrong with a job, beyond names, types and ranges. Standard library only.
    problems_inside: The same, of what only the engine's Python can see; without torch, as far as that goes.
    chunks: Groups of a job's frames that can run side by side, those that help the others first. Always of the whole
        job, never of a part of it.
    keys: Of a job of one view, the frames that others start from, so that a farm computes them first; none where every
        frame stands alone.
    minutes: What a frame takes, roughly, on an ordinary machine; 0 where nobody knows.
    needs: For a job of one view, a function from a frame to all its result depends on: more than its own files where
        it looks at neighbours.
    run: Compute frames of a job of one view, on the engine's own Python; yields each when its files are complete. The
        bytes of a frame must not depend on which other frames were asked for.
    finish: What is made once, when every frame is there (a page); gets the result.
    sparse: Inputs of this job that need no file on every frame.
    channels: How many channels a frame's files hold, for an estimate of disk space.
    weights: Name, SHA-256 and licence of what this job's model has learned; none where `trained_weights` says it.
    sequence: What a result says of all frames of a view together, JSON values: a number that takes several of them.
    regional: A part of the plate by itself gives what the whole plate would give there.
    device: What computes where no parameter of that name says it.
    whole: Works on a take as one piece, whose frames nobody chooses.
    verb: The word after the tool's name on the command line, for a tool that has other commands beside this one.
    verbs: Adds those.
    steps: The parameter whose values are steps that an artist takes one after another, looking between them.
    span: The frames of a job that names none, from its inputs (absolute names) and parameters; default: those of the
        main input's files. May need the engine's Python; raises JobError where they cannot be told.
    """

    name: str
    label: str
    help: str
    inputs: tuple[Images, ...]
    outputs: tuple[Images, ...]
    parameters: tuple[Parameter, ...]
    chunks: Callable[[Job], tuple[tuple[int, ...], ...]]
    needs: Callable[[Job], Callable[[int], Needs]]
    run: Callable[[Job, Sequence[int], Callable[[Any], None], Place], Iterator[Made]]
    problems: Callable[[Job], list[Problem]] = _nothing
    problems_inside: Callable[[Job], list[Problem]] = _nothing
    finish: Callable[[Job, Mapping[str, Any], Callable[[Any], None], Place], None] | None = None
    sparse: Callable[[Job], frozenset[str]] = lambda job: frozenset()
    channels: Callable[[Job], int] = lambda job: 4
    keys: Callable[[Job], frozenset[int]] = lambda job: frozenset()
    minutes: Callable[[Job], float] = lambda job: 0.0
    generative: bool = False
    trained_weights: str = "none"
    weights: Callable[[Job], str] | None = None
    sequence: Callable[[Job, Place], Mapping[str, Any]] | None = None
    regional: bool = True
    device: str = "auto"
    whole: bool = False
    verb: str = ""
    verbs: Callable[[Any, str], None] | None = None
    steps: str = ""
    span: Callable[[Mapping[str, str], Mapping[str, Any]], tuple[int, ...]] | None = None

    @property
    def main_input(self) -> Images:
        """The plate: what decides size, frames and colour."""
        return self.inputs[0]

    @property
    def main_output(self) -> Images:
        """What --out names, and what records are kept beside."""
        return self.outputs[0]

    @property
    def nodal(self) -> bool:
        """Whether it is a node among pictures: it takes some or makes some."""
        return self.main_input.picture or self.main_output.picture

    def values(self, job: Job) -> dict[str, Any]:
        """Every parameter's value in a job, defaults filled in."""
        return {p.name: job.params.get(p.name, p.default) for p in self.parameters}

    def parameter_problems(self, params: Mapping[str, Any]) -> list[Problem]:
        """Unknown names and wrong values among a job's parameters."""
        known = {p.name: p for p in self.parameters}
        found = []
        for name, value in params.items():
            where = f"params.{name}"
            if name not in known:
                found.append(Problem(where, f"{self.name} has no such parameter", nearest(name, known)))
            elif known[name].wrong(value):
                found.append(Problem(where, known[name].wrong(value)))
        found += [Problem(f"params.{p.name}", "is missing", p.help) for p in missing(self.parameters, params)]
        return found

    def describe(self) -> dict[str, Any]:
        """The tool as JSON values, for whoever draws it without importing it."""

        def one(item: Images | Parameter) -> dict[str, Any]:
            return {"kind": type(item).__name__, **{k: v for k, v in vars(item).items() if v not in ("", None)}}

        return {
            "name": self.name,
            "label": self.label,
            "help": self.help,
            "inputs": [one(i) for i in self.inputs],
            "outputs": [one(o) for o in self.outputs],
            "parameters": [one(p) for p in self.parameters],
            "generative": self.generative,
            "trained_weights": self.trained_weights,
        }
