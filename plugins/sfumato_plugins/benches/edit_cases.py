"""What is edited in `sfumato bench edit`: rendered scenes whose objects are known, or pictures of your own."""

from __future__ import annotations

import itertools
import json
import pathlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.models.training.scenes import Scene, Thing

Path = pathlib.Path
LIST = "edits.json"


@dataclass(frozen=True)
class Case:
    """One edit.

    picture: (3, H, W) display-referred 0..1, of the model's size. cover: (1, H, W), how much of it the object covers.
    colour, box: What the object's colour should become, and where it is (left, top, right, bottom, 0..1), for the
        detector; None where there is none.
    """

    name: str
    picture: Tensor
    cover: Tensor
    source: str
    target: str
    colour: str | None = None
    box: tuple[float, float, float, float] | None = None


def rendered(count: int, size: int, seed: int) -> list[Case]:
    """Scenes of one or two things on a ground; one thing, not cut by the frame, gets a colour nothing there has."""
    from sfumato.models.training.render import render
    from sfumato.models.training.scenes import scenes

    rng = random.Random(seed)
    usable = itertools.islice((s for s in scenes(seed, most=2) if _whole(s.things[-1])), count)
    found = []
    for number, scene in enumerate(usable):
        (picture,), (covers,) = render([scene], size)
        thing = scene.things[-1]  # in front: nothing covers it
        colour = rng.choice(_free(scene))
        changed = replace(scene, things=(*scene.things[:-1], replace(thing, colour=colour)))
        name = f"{number:02d} {thing.colour} {thing.shape} to {colour}"
        found.append(Case(name, picture, covers[-1:], words(scene), words(changed), colour, thing.box))
    return found


def words(scene: Scene) -> str:
    """A prompt for a scene: "a red ball and a striped green box on sand"."""
    return f"{' and '.join(_phrase(thing) for thing in scene.things)} on {scene.ground}"


def own(folder: Path, size: tuple[int, int]) -> list[Case]:
    """Pictures in a folder, as its edits.json lists them: picture, mask (white on the object), source, target.

    Raises:
        InputError: there is no such list, or it cannot be read.
        RequestError: an entry lacks one of the four.
    """
    from sfumato.errors import InputError, RequestError

    path = folder / LIST
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", "a list of objects, see --help") from error
    found = []
    for entry in listed:
        lacking = [k for k in ("picture", "mask", "source", "target") if not isinstance(entry, dict) or k not in entry]
        if lacking:
            raise RequestError(f"{path}: an entry has no {lacking[0]}", "each has picture, mask, source and target")
        picture, cover = (_fitted(folder / entry[name], name, size) for name in ("picture", "mask"))
        found.append(Case(entry["picture"], picture, cover, entry["source"], entry["target"]))
    return found


def _whole(thing: Thing) -> bool:
    return min(thing.box) >= 0 and max(thing.box) <= 1 and not thing.striped


def _free(scene: Scene) -> list[str]:
    from sfumato.models.training.scenes import COLOURS

    return [c for c in COLOURS if all(c != thing.colour for thing in scene.things)]


def _phrase(thing: Thing) -> str:
    named = f"{'striped ' if thing.striped else ''}{thing.colour} {thing.shape}"
    return f"{'an' if named[0] in 'aeiou' else 'a'} {named}"


def _fitted(path: Path, name: str, size: tuple[int, int]) -> Tensor:
    """A picture or a mask, scaled to the model's size, 0..1."""
    from torch.nn.functional import interpolate

    from sfumato.io import read_image

    plate = read_image(path)
    pixels: Any = plate.matte() if name == "mask" else plate.rgb()
    scaled: Tensor = interpolate(pixels[None].float(), size, mode="bilinear", antialias=True)[0]
    return scaled.clamp(0, 1)


def batches(cases: list[Case], most: int) -> Iterator[list[Case]]:
    """Cases in groups that go through the network together."""
    for start in range(0, len(cases), most):
        yield cases[start : start + most]
