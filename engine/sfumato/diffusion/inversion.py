"""A plate's inversion under a prompt: made once, kept in a file, edited many times."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from sfumato.diffusion.bdia import Plan, make_plan
from sfumato.diffusion.display import to_display
from sfumato.diffusion.fingerprint import take_fingerprint
from sfumato.diffusion.gamma import Policy
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.record import InversionRecord, RecordMismatchError, load_record
from sfumato.diffusion.schedule import Node
from sfumato.diffusion.walk import invert
from sfumato.diffusion.window import View, around, whole
from sfumato.errors import InputError, RequestError
from sfumato.plate import fill_holes
from sfumato.report import Report, silent
from sfumato.shapes import expect

if TYPE_CHECKING:
    from sfumato.models.model import Model


@dataclass(frozen=True)
class EditSettings:
    """All that decides an edit besides its plate, prompts, mask and model.

    steps: Of the whole walk between picture and noise.
    gamma: See `choose_gammas`; "auto" is "optimal" here: it keeps more of what was not edited than 1, which rings.
    guidance: Weight of prompts, the same on the way up and down.
    strength: How far up the walk goes, 0..1: less keeps more. 0 changes nothing.
    keep_detail: How much of the plate's fine detail stays where the edit put something else, 0..1.
    automatic: Without a mask, touch only what the edit changed.
    attention: Prompt-to-prompt control of the target's attention.
    weights: Words of the target and how much more they count, with attention control.
    until, layout: The part of the steps in which cross and self attention are the source's.
    method: "ddim" is the inexact peer, for comparison.
    seed: Of the grain.
    """

    steps: int = 50
    gamma: Policy = "auto"
    guidance: float = 3.0
    strength: float = 0.8
    keep_detail: float = 0.0
    automatic: bool = True
    attention: Literal["off", "replace", "refine", "reweight"] = "off"
    weights: Mapping[str, float] = field(default_factory=dict)
    until: float = 0.8
    layout: float = 0.0
    method: Literal["bdia", "ddim"] = "bdia"
    seed: int = 0


PLAIN = EditSettings()


@dataclass(frozen=True)
class Inversion:
    """A plate's way up.

    record: The walk, its plan and fingerprint. view: The part of the plate it is of. calls: Network calls it took.
    """

    record: InversionRecord
    view: View
    calls: int = 0

    def save(self, path: str | Path, stamp: Mapping[str, object] | None = None) -> None:
        """One safetensors file, whole or not at all. No prompt and no pixel is in it, only digests.

        stamp: Further words for its header: who made it, and with what.
        """
        self.record.save(path, stamp)


class Counted:
    """A predictor that counts how often the network is asked."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.calls = 0

    @property
    def prediction(self) -> Prediction:
        return self._predictor.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        self.calls += 1
        with torch.no_grad():
            return self._predictor(latent, node)


def under(model: Model, prompt: str, guidance: float) -> Guided:
    """The model under a prompt, for one picture."""
    return Guided(model.denoiser, model.embedder([prompt]), model.embedder([""]), guidance)


def make_edit_plan(model: Model, settings: EditSettings) -> Plan:
    """The walk of an edit: the model's own grid, up to where `strength` says, two steps at least."""
    if not 0 <= settings.strength <= 1:
        raise RequestError(f"strength is {settings.strength:g}", "give a number from 0 to 1")
    last = min(max(2, round(settings.strength * settings.steps)), settings.steps)
    grid = model.grid(settings.steps)
    if last < grid.steps:
        grid = grid.until(last)
    return make_plan(grid, "optimal" if settings.gamma == "auto" else settings.gamma, start="euler")


def seen(plate: Tensor, view: View) -> Tensor:
    """The picture a model is shown, (1, 3, rows, columns) display-referred 0..1. Holes are filled from around them.

    plate: (3, H, W) float32 scene-linear.

    Raises:
        InputError: the plate holds no finite pixel.
    """
    part = plate[:, view.part.top : view.part.bottom, view.part.left : view.part.right]
    holes = ~part.isfinite().all(0, keepdim=True)
    if bool(holes.all()):
        raise InputError("the plate holds no finite pixel", "render it again")
    return to_display(view.shrink_part(fill_holes(part, holes).clamp(0, 1)))


def view_of(plate: Tensor, mask: Tensor | None, model: Model) -> View:
    """What the model is shown: the mask and its surroundings, or the whole plate.

    Raises:
        RequestError: the mask is of another size.
    """
    if mask is None:
        return whole(plate.shape[1], plate.shape[2], model.size, model.multiple)
    if mask.shape[-2:] != plate.shape[-2:]:
        raise RequestError(
            f"the mask is {mask.shape[-1]} x {mask.shape[-2]}, and the plate {plate.shape[-1]} x {plate.shape[-2]}",
            "give a mask of the plate's own size",
        )
    return around(mask, model.size, model.multiple)


def invert_plate(
    plate: Tensor,
    source: str,
    model: Model,
    settings: EditSettings = PLAIN,
    mask: Tensor | None = None,
    report: Report = silent,
    store: bool = False,
) -> Inversion:
    """From a plate to noise, exactly: Zhang et al. 2023, eq. (A2), one call a step.

    Args:
        plate: (3, H, W) float32 scene-linear; NaN and infinity are holes.
        source: What is there, in words.
        model: Any `load_model` gives.
        settings: steps, gamma, guidance and strength count.
        mask: (1, H, W); the model is shown its surroundings instead of the whole plate.
        report: Told after every step.
        store: Keep every state, for machines whose answers differ: as many latents more as there are steps.

    Raises:
        RequestError: an empty prompt, a mask of another size, settings out of range.
        InputError: nothing finite in the plate.
    """
    expect("plate", plate, "C H W", C=3)
    said(source, "source")
    view = view_of(plate, mask, model)
    plan, guided = make_edit_plan(model, settings), under(model, source, settings.guidance)
    predictor = Counted(guided)
    data = model.codec.encode(seen(plate, view))
    walk = invert(plan, predictor, data, report, store)
    here = take_fingerprint(model.digest, conditions(source, settings), data, _dtype(model), guided.copies)
    record = InversionRecord(plan, walk, predictor.prediction, here, notes_of(plate, source, view))
    return Inversion(record, view, predictor.calls)


def load_inversion(path: str | Path, device: torch.device | str = "cpu") -> Inversion:
    """Read what `Inversion.save` wrote.

    Raises:
        InputError: see `load_record`; or a record that is of no plate.
    """
    record = load_record(path, device)
    if "view" not in record.notes:
        raise InputError(f"{path} is an inversion of something else than a plate", "make one with `sfumato invert`")
    return Inversion(record, View.read(record.notes["view"]))


def fits(inversion: Inversion, plate: Tensor, source: str, model: Model, settings: EditSettings) -> bool:
    """Whether the network will answer here as it did; if not, the inversion has stored states to go by.

    Raises:
        RecordMismatchError: it is of another plate, prompt or model, each named; or of another machine, without states.
    """
    record, view = inversion.record, inversion.view
    found = []
    for name, here in notes_of(plate, source, view).items():
        if record.notes.get(name) != here:
            found.append(f"{name}: the record is of another {name}")
    latent = torch.zeros(record.walk.pair.noisier.shape)
    copies = under(model, source, settings.guidance).copies
    here_print = take_fingerprint(model.digest, conditions(source, settings), latent, _dtype(model), copies)
    elsewhere = record.fingerprint.differences(here_print)
    found += [line for line in elsewhere if line.startswith(("model", "conditions"))]
    stored = bool(record.walk.states)
    if found or (elsewhere and not stored):
        raise RecordMismatchError(found or elsewhere, stored)
    return not elsewhere


def said(prompt: str, which: str) -> None:
    """Raises RequestError where a prompt says nothing."""
    if not prompt.strip():
        raise RequestError(f"the {which} prompt is empty", f"say in a few words what the {which} shows")


def conditions(source: str, settings: EditSettings) -> str:
    """What else goes into the network on the way up, as a digest."""
    return hashlib.sha256(f"{source}\n{settings.guidance:g}".encode()).hexdigest()[:16]


def notes_of(plate: Tensor, source: str, view: View) -> dict[str, str]:
    """What an inversion is of, without any of its pixels or words."""
    pixels = plate.detach().cpu().contiguous().numpy().tobytes()
    return {
        "plate": hashlib.sha256(pixels).hexdigest()[:32],
        "source": hashlib.sha256(source.encode()).hexdigest()[:32],
        "view": view.words(),
    }


def _dtype(model: Model) -> torch.dtype:
    return next(model.network.parameters()).dtype
