"""A plate's inversion under a prompt: made once, kept in a file, edited many times."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.device import deterministic
from sfumato.diffusion.display import Display, display_of
from sfumato.diffusion.fingerprint import take_fingerprint
from sfumato.diffusion.lattice import digest
from sfumato.diffusion.record import InversionRecord, RecordMismatchError, load_record
from sfumato.diffusion.request import PLAIN, Counted, EditSettings, plan_of, said, under, view_of
from sfumato.diffusion.walk import DriftedError, arithmetic, invert, latent, resample
from sfumato.diffusion.window import View, bounds
from sfumato.errors import InputError, RequestError
from sfumato.plate import Plate, fill_holes
from sfumato.report import Report, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model


@dataclass(frozen=True)
class Inversion:
    """A plate's way up.

    record: The walk, its plan and fingerprint; its notes say of what it is, in digests.
    view: The part of the plate it is of.
    replay_digest: Of the picture that the walk back gave; "" if it was not walked.
    calls: Network calls it took here, up and back; 0 for one from a file.
    drifts: The walk back was another: this machine does not answer the same twice, so stored states are to be used.
    """

    record: InversionRecord
    view: View
    replay_digest: str = ""
    calls: tuple[int, int] = (0, 0)
    drifts: bool = False

    def save(self, path: str | Path, stamp: Mapping[str, object] | None = None) -> None:
        """One safetensors file, whole or not at all. No prompt and no pixel is in it, only digests and latents.

        stamp: Further words for its header, on which nothing depends.
        """
        notes = {**self.record.notes, "replay": self.replay_digest, "drifts": "yes" if self.drifts else "no"}
        replace(self.record, notes=notes).save(path, stamp)


def invert_plate(
    plate: Plate,
    source: str,
    model: Model,
    settings: EditSettings = PLAIN,
    mask: Tensor | None = None,
    report: Report = silent,
    *,
    store: bool = False,
    replay: bool = True,
) -> Inversion:
    """From a plate to noise, exactly: Zhang et al. 2023, eq. (A2). With K = strength x steps, K + 3 calls.

    And back again, K - 1 calls, every state compared: so it is known that this machine answers the same twice.

    Args:
        plate: R, G, B in scene-linear light, or display-coded; NaN and infinity are holes.
        source: What is there, in words.
        model: What `load_model` gives.
        settings: steps, gamma, guidance, strength and exposure count.
        mask: (1, H, W) over the data window; the model is shown its surroundings instead of the whole picture.
        report: Told after every step.
        store: Keep every state, for machines whose answers differ: a latent more a step.
        replay: Walk back. Not needed by who walks back anyway.

    Raises:
        RequestError: an empty prompt, a mask of another size, DDIM, settings that leave no walk.
        InputError: nothing finite to look at.
        DriftedError: the way back was another; a machine that is not repeatable needs stored states.
    """
    said(source, "source")
    if settings.method != "bdia":
        raise RequestError("an inversion by DDIM is not exact, so there is nothing to record", "invert with bdia")
    view, display = view_of(plate, mask, model), display_of(plate, settings.exposure)
    plan, guided = plan_of(model, settings), under(model, source, settings.guidance)
    predictor = Counted(guided)
    with torch.no_grad(), deterministic(device_of(model)):
        data = model.codec.encode(seen(plate, view, display)[None].to(device_of(model)))
        walk = invert(plan, predictor, data, report, store)
        up = predictor.calls
        back, drifts = "", False
        if replay:
            try:
                again = resample(plan, predictor, walk, phased(report, "replay"), verify=True)
                back = picture_digest(model.codec.decode(latent(plan, again)))
            except DriftedError:
                if not store:
                    raise
                drifts = True
    here = take_fingerprint(model.digest, _conditions(source, settings), data, _dtype(model), guided.copies)
    record = InversionRecord(plan, walk, guided.prediction, here, _notes(plate, source, view, display, settings))
    return Inversion(record, view, back, (up, predictor.calls - up), drifts)


def load_inversion(path: str | Path, device: torch.device | str = "cpu") -> Inversion:
    """Read what `Inversion.save` wrote, its latents onto a device: the model's.

    Raises:
        InputError: see `load_record`; or a record that is of no plate.
    """
    record = load_record(path, device)
    if "view" not in record.notes:
        raise InputError(f"{path} is an inversion of something else than a plate", "make one with `sfumato invert`")
    notes = record.notes
    return Inversion(record, View.read(notes["view"]), notes.get("replay", ""), drifts=notes.get("drifts") == "yes")


def fits(
    inversion: Inversion, plate: Plate, source: str, model: Model, settings: EditSettings, mask: Tensor | None
) -> bool:
    """Whether the network will answer here as it did; if not, the inversion has stored states to go by.

    Raises:
        RecordMismatchError: it is of another plate, part, prompt, walk or model, each named; or of another machine,
            without stored states.
    """
    record, view = inversion.record, inversion.view
    expected = _notes(plate, source, view, display_of(plate, settings.exposure), settings)
    found = [_apart(name, record.notes.get(name, ""), here) for name, here in expected.items()]
    found = [line for line in found if line]
    if mask is not None:
        shown = bounds(mask, plate.data).common(plate.display)
        if shown.common(view.part) != shown:
            found.append(f"window: the record is of {view.part}, and the mask reaches to {shown}")
    copies = under(model, source, settings.guidance).copies
    here = take_fingerprint(
        model.digest, _conditions(source, settings), record.walk.pair.noisier, _dtype(model), copies
    )
    elsewhere = record.fingerprint.differences(here)
    found += [line for line in elsewhere if line.startswith("model")]
    stored = bool(record.walk.states)
    if found:
        error = RecordMismatchError(found, stored)
        error.hint = "give the record of this plate, prompt, model and settings, or leave it out and invert again"
        raise error
    if elsewhere and not stored:
        raise RecordMismatchError(elsewhere, stored)
    return not elsewhere


def clean_of(inversion: Inversion, plate: Plate, model: Model, settings: EditSettings) -> Tensor:
    """The latent the walk began with, on the lattice: the plate's, encoded again, or the one that was stored.

    Raises:
        RecordMismatchError: encoded again it is another, and none was stored.
    """
    walk, states = inversion.record.walk, arithmetic(inversion.record.plan)
    picture = seen(plate, inversion.view, display_of(plate, settings.exposure))
    found: Tensor = states.enter(model.codec.encode(picture[None].to(device_of(model))))
    if digest(found) == walk.digests.get(0):
        return found
    if not walk.states:
        raise RecordMismatchError(["picture: the model's codec makes another latent of this plate here"], False)
    return walk.states[0]


def seen(plate: Plate, view: View, display: Display) -> Tensor:
    """The picture a model is shown, (3, rows, columns) display-referred 0..1.

    Holes are filled from around them. Light above white is cut before it is averaged, so that a lamp of 50 does not
    light up what is around it.

    Raises:
        InputError: nothing finite to look at.
    """
    part = view.cut(plate.rgb(), plate.data, plate.display)
    holes = ~part.isfinite().all(0, keepdim=True)
    if bool(holes.all()) or bool(plate.holes().all()):
        raise InputError("the plate has no finite pixel where it is to be edited", "render it again")
    return display.encode(view.shrink(display.light(fill_holes(part, holes))))


def picture_digest(picture: Tensor) -> str:
    """SHA-256 of a picture's float32 values."""
    return hashlib.sha256(picture.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()


def phased(report: Report, phase: str) -> Report:
    """Tells as `report` does, under another name."""
    return lambda step: report(replace(step, phase=phase))


def device_of(model: Model) -> torch.device:
    """Where a model's network is."""
    return next(model.network.parameters()).device


def _notes(plate: Plate, source: str, view: View, display: Display, settings: EditSettings) -> dict[str, str]:
    """What an inversion is of and how it was made, without any of its pixels or words."""
    pixels = hashlib.sha256()
    for channel in plate.on(view.part.common(plate.data)).rgb():
        pixels.update(channel.contiguous().numpy())
    return {
        "plate": pixels.hexdigest(),
        "source": hashlib.sha256(source.encode()).hexdigest(),
        "view": view.words(),
        "display": display.words(),
        "steps": str(settings.steps),
        "strength": f"{settings.strength:g}",
        "guidance": f"{settings.guidance:g}",
        "gamma": str(settings.gamma),
    }


def _apart(name: str, there: str, here: str) -> str:
    """In what a record differs from what is here; "" if in nothing."""
    if there == here:
        return ""
    if name in ("plate", "source"):
        return f"{name}: the record is of another {'plate' if name == 'plate' else 'source prompt'}"
    return f"{name}: {there} in the record, {here} here"


def _conditions(source: str, settings: EditSettings) -> str:
    """What else goes into the network on the way up, as a digest."""
    return hashlib.sha256(f"{source}\n{settings.guidance:g}".encode()).hexdigest()


def _dtype(model: Model) -> torch.dtype:
    return next(model.network.parameters()).dtype
