"""TrailBlazer's recipe files, as they are in its repository, and what of its program is not copied."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfumato.errors import InputError, RequestError
from sfumato.place.box import Box
from sfumato.place.staging import Staging, Subject
from sfumato.place.track import BoxTrack, Curve, Key

LAST = 24  # of a recipe that has a prompt and no keys: frames 0 to 24, as their own measurements make up

REPEATED = (
    "TrailBlazer repeats the frame at each key in between, so that motion stutters there; the frames come out even here"
)
ONE_MORE = "its last key {last} gives {count} frames, 0 to {last}, in TrailBlazer as here; its text says {last}"
ADJACENT = "keys {a} and {b} are one frame apart, where TrailBlazer divides by zero; here they are what they say"
TEMPORAL = (
    "at {width} x {height} TrailBlazer never makes its temporal edit: it looks for a batch of 65536, which is 512 x 512"
)
UNCONDITIONAL = "TrailBlazer edits temporal attention where there is no prompt; here, where the prompt is"
SMALL = (
    "the box {box} is so small that TrailBlazer erases its object at coarse layers: it cuts boxes to whole places; "
    "here a place counts by the part of it that a box covers"
)
SUFFIX = (
    "TrailBlazer adds some twenty words on quality to the prompt and edits those as trailing; here nothing is added"
)
SQUARE = "TrailBlazer composes subjects in boxes measured with the width alone; here with width and height"
MADE_UP = "the recipe has no boxes: TrailBlazer makes up random ones for its measurements"
SPREAD = "the words numbered {inds} of “{prompt}” do not stand together; the phrase is all from the first to the last"


@dataclass(frozen=True)
class Recipe:
    """A recipe file.

    staging: Its prompts and boxes; without subjects where the recipe has a prompt alone.
    seed: Its seed.
    steps: Of denoising; 40 where it does not say.
    settings: Of the method by its own names: num_dd_spatial_steps, spatial_strengthen_scale, trailing_length and so on.
    composed: Over how many steps its subjects are composed; 0 for a single one.
    warnings: What is done otherwise than by the released program, a sentence each.
    """

    staging: Staging
    seed: int
    steps: int
    settings: Mapping[str, float]
    composed: int = 0
    warnings: tuple[str, ...] = field(default=())


def read_recipe(path: str | Path) -> Recipe:
    """A TrailBlazer recipe: one subject, several, or a prompt without boxes.

    A recipe of several names what runs of single recipes left behind; those recipes must lie beside it.

    Raises:
        InputError: it is missing, no YAML, or no recipe.
        RequestError: its keys or boxes make no sense.
    """
    path = Path(path)
    data = _load(path)
    try:
        if "multisubs" in data and not data.get("keyframe"):
            return _several(path, data["multisubs"])
        return _single(data)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"holds something odd: {error}"
        raise InputError(f"the recipe {path} {what}", "see TrailBlazer's config folder for whole ones") from error


def _load(path: Path) -> Mapping[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the recipe {path} cannot be read: {error.strerror}", "give the path of a YAML file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} is no YAML: {error}", "give TrailBlazer's own file") from error
    if not isinstance(data, Mapping) or not {"keyframe", "prompt", "multisubs"} & set(data):
        raise InputError(f"{path} is no TrailBlazer recipe", "it should have keyframe, prompt or multisubs")
    return data


def _single(data: Mapping[str, Any]) -> Recipe:
    keys = data.get("keyframe") or []
    prompts = tuple((int(k["frame"]), str(k["prompt"]).strip()) for k in keys) or ((0, str(data["prompt"]).strip()),)
    if keys and prompts[0][0] != 0:
        raise RequestError(f"the recipe's first key is at frame {prompts[0][0]}", "TrailBlazer's is frame 0")
    width, height = int(data.get("width") or 576), int(data.get("height") or 320)
    count = (prompts[-1][0] if keys else LAST) + 1
    inds = sorted(int(i) for i in data["token_inds"])
    phrases = tuple(dict.fromkeys(_phrase(prompt, inds) for _, prompt in prompts))
    subjects: tuple[Subject, ...] = ()
    if keys:
        track = BoxTrack(tuple(Key(int(k["frame"]), Box(*map(float, k["bbox_ratios"]))) for k in keys))
        subjects = (Subject(phrases[0], phrases, track),)
    staging = Staging(_changes(prompts), subjects, 0, count, 8.0, width, height)
    warnings = _warned(staging, keys) if keys else (MADE_UP, SUFFIX)
    if inds != list(range(inds[0], inds[-1] + 1)):
        warnings += (SPREAD.format(inds=", ".join(map(str, inds)), prompt=prompts[0][1]),)
    return Recipe(
        staging, int(data.get("seed") or 0), int(data.get("num_inference_steps") or 40), _settings(data), 0, warnings
    )


def _several(path: Path, data: Mapping[str, Any]) -> Recipe:
    prompt = str(data["prompt"]).strip()
    singles = [_part(_beside(path, str(made))) for made in data["subjects"]]
    subjects = [single.staging.subjects[0] for single in singles]
    placed = tuple(
        Subject(s.name, s.phrases, s.track, Curve.level(float(-i)))
        for i, s in enumerate(subjects)  # later ones on top
    )
    first = singles[0].staging
    staging = Staging(((0, prompt),), placed, 0, first.count, 8.0, first.width, first.height)
    warnings = tuple(dict.fromkeys(w for single in singles for w in single.warnings))
    if first.width != first.height:
        warnings += (SQUARE,)
    settings = singles[0].settings
    return Recipe(
        staging, int(data.get("seed") or 0), singles[0].steps, settings, int(data["num_integration_steps"]), warnings
    )


def _part(path: Path) -> Recipe:
    """A recipe that another composes: of a single subject, with boxes."""
    if not _load(path).get("keyframe"):
        raise InputError(
            f"the recipe {path} has no boxes of its own to compose", "compose recipes with a keyframe each"
        )
    return read_recipe(path)


def _beside(path: Path, made: str) -> Path:
    """The recipe of a run: /tmp/.../MultiSubject-Dog.0000.pt was made by MultiSubject-Dog.yaml."""
    name = re.sub(r"(\.\d+)?\.pt$", "", made.replace("\\", "/").rsplit("/", 1)[-1]) + ".yaml"
    if not (path.parent / name).is_file():
        raise InputError(f"the recipe {path} needs {name} beside it: it composes what that one made", "copy it there")
    return path.parent / name


def _phrase(prompt: str, inds: Sequence[int]) -> str:
    """The words by their numbers from 1, as TrailBlazer counts them; marks around them are no part of a phrase."""
    return " ".join(prompt.split()[inds[0] - 1 : inds[-1]]).strip(".,;:!?")


def _changes(prompts: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """The same prompt at every key is one prompt."""
    return tuple(prompts) if len({prompt for _, prompt in prompts}) > 1 else tuple(prompts[:1])


def _settings(data: Mapping[str, Any]) -> dict[str, float]:
    """Those under `trailblazer`; older recipes have them beside everything else."""
    scales = (f"{kind}_{way}_scale" for kind in ("spatial", "temp") for way in ("strengthen", "weaken"))
    names = ("num_dd_spatial_steps", "num_dd_temporal_steps", "trailing_length", *scales)
    found = data.get("trailblazer") or data
    return {name: float(found[name]) for name in names if found.get(name) is not None}


def _warned(staging: Staging, keys: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    frames = [int(k["frame"]) for k in keys]
    boxes = [Box(*map(float, k["bbox_ratios"])) for k in keys]
    found = [REPEATED] if len(frames) > 2 else []
    found += [ADJACENT.format(a=a, b=b) for a, b in itertools.pairwise(frames) if b == a + 1]
    found.append(ONE_MORE.format(last=frames[-1], count=frames[-1] + 1))
    square = (staging.width, staging.height) == (512, 512)
    found.append(UNCONDITIONAL if square else TEMPORAL.format(width=staging.width, height=staging.height))
    coarse = (staging.width // 64, staging.height // 64)
    small = [b for b in boxes if not (_places(b.left, b.right, coarse[0]) and _places(b.top, b.bottom, coarse[1]))]
    found += [SMALL.format(box=small[0])] if small else []
    return (*found, SUFFIX)


def _places(low: float, high: float, count: int) -> int:
    """How many of `count` places TrailBlazer gives a box: cut 1 % in and then down to whole ones."""
    return int((high - 0.01) * count) - int((low + 0.01) * count)
