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
from sfumato.diffusion.display import display_of
from sfumato.diffusion.matching import notes_of, print_of
from sfumato.diffusion.record import InversionRecord, load_record
from sfumato.diffusion.request import PLAIN, Counted, EditSettings, device_of, plan_of, said, under, view_of
from sfumato.diffusion.walk import DriftedError, invert, latent, resample
from sfumato.diffusion.window import View, seen
from sfumato.errors import InputError, RequestError
from sfumato.plate import Plate
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
        settings: steps, gamma, invert_guidance, strength and exposure count.
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
    plan, guided = plan_of(model, settings), under(model, source, settings.invert_guidance)
    predictor = Counted(guided)
    with torch.no_grad(), deterministic(device_of(model)):
        data = model.codec.encode(seen(plate, view, display)[None].to(device_of(model)))
        walk = invert(plan, predictor, data, report, store)
        up = predictor.calls
        back, drifts = "", False
        if replay:
            try:
                again = resample(plan, predictor, walk, phased(report, "replay"), verify=True)
                back = picture_digest(model.codec.decode(latent(plan, again))[0])
            except DriftedError:
                if not store:
                    raise
                drifts = True
    here = print_of(model, source, settings, data)
    record = InversionRecord(plan, walk, guided.prediction, here, notes_of(plate, source, view, settings))
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


def picture_digest(picture: Tensor) -> str:
    """SHA-256 of a picture's float32 values."""
    return hashlib.sha256(picture.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()


def phased(report: Report, phase: str) -> Report:
    """Tells as `report` does, under another name."""
    return lambda step: report(replace(step, phase=phase))
