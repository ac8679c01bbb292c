"""Whether an inversion is of what is asked for, and of the machine it is asked on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from torch import Tensor

from sfumato.diffusion.display import display_of
from sfumato.diffusion.fingerprint import Fingerprint, take_fingerprint
from sfumato.diffusion.lattice import digest
from sfumato.diffusion.record import InversionRecord, RecordMismatchError
from sfumato.diffusion.request import EditSettings, device_of, dtype_of, under
from sfumato.diffusion.walk import arithmetic
from sfumato.diffusion.window import View, bounds, seen
from sfumato.plate import Plate

if TYPE_CHECKING:
    from sfumato.models.model import Model


def notes_of(plate: Plate, source: str, view: View, settings: EditSettings) -> dict[str, str]:
    """What an inversion is of and how it was made, without any of its pixels or words."""
    pixels = hashlib.sha256()
    for channel in plate.on(view.part.common(plate.data)).rgb():
        pixels.update(channel.contiguous().numpy())
    return {
        "plate": pixels.hexdigest(),
        "source": hashlib.sha256(source.encode()).hexdigest(),
        "view": view.words(),
        "display": display_of(plate, settings.exposure).words(),
        "steps": str(settings.steps),
        "strength": f"{settings.strength:g}",
        "invert guidance": f"{settings.invert_guidance:g}",
        "gamma": str(settings.gamma),
    }


def print_of(model: Model, source: str, settings: EditSettings, latent: Tensor) -> Fingerprint:
    """The fingerprint of this process, about to ask a model under a prompt for a latent like this one."""
    conditions = hashlib.sha256(f"{source}\n{settings.invert_guidance:g}".encode()).hexdigest()
    copies = under(model, source, settings.invert_guidance).copies
    return take_fingerprint(model.digest, conditions, latent, dtype_of(model), copies)


def fits(
    record: InversionRecord,
    view: View,
    plate: Plate,
    source: str,
    model: Model,
    settings: EditSettings,
    mask: Tensor | None,
) -> bool:
    """Whether the network will answer here as it did; if not, the inversion has stored states to go by.

    Raises:
        RecordMismatchError: it is of another plate, part, prompt, walk or model, each named; or of another machine,
            without stored states.
    """
    expected = notes_of(plate, source, view, settings)
    found = [_apart(name, record.notes.get(name, ""), here) for name, here in expected.items()]
    found = [line for line in found if line]
    if mask is not None:
        shown = bounds(mask, plate.data).common(plate.display)
        if shown.common(view.part) != shown:
            found.append(f"window: the record is of {view.part}, and the mask reaches to {shown}")
    here = print_of(model, source, settings, record.walk.pair.noisier)
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


def clean_of(record: InversionRecord, view: View, plate: Plate, model: Model, settings: EditSettings) -> Tensor:
    """The latent the walk began with, on the lattice: the plate's, encoded again, or the one that was stored.

    Raises:
        RecordMismatchError: encoded again it is another, and none was stored.
    """
    walk, states = record.walk, arithmetic(record.plan)
    picture = seen(plate, view, display_of(plate, settings.exposure))
    found: Tensor = states.enter(model.codec.encode(picture[None].to(device_of(model))))
    if digest(found) == walk.digests.get(0):
        return found
    if not walk.states:
        raise RecordMismatchError(["picture: the model's codec makes another latent of this plate here"], False)
    return walk.states[0]


def _apart(name: str, there: str, here: str) -> str:
    """In what a record differs from what is here; "" if in nothing."""
    if there == here:
        return ""
    if name in ("plate", "source"):
        return f"{name}: the record is of another {'plate' if name == 'plate' else 'source prompt'}"
    return f"{name}: {there} in the record, {here} here"
