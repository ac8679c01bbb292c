"""One frame, edited or inverted: files in, what the engine makes of them out, and the numbers its record keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.editing.answers import Kept
from sfumato_plugins.editing.inputs import EditInputs, Source
from sfumato_plugins.editing.model import about, load
from sfumato_plugins.files import Files
from sfumato_plugins.job import Job
from sfumato_plugins.parameters import factors
from sfumato_plugins.place import Place
from sfumato_plugins.plates import naming

if TYPE_CHECKING:
    from sfumato.diffusion.edit import Edit
    from sfumato.diffusion.inversion import Inversion
    from sfumato.diffusion.request import EditSettings
    from sfumato.models.model import Model

Report = Callable[[Any], None]


def edited(
    job: Job, files: Files, values: Mapping[str, Any], frame: int, report: Report, place: Place
) -> tuple[Source, Edit, dict[str, Any]]:
    """A frame's plate, its edit, and what its record says.

    Raises:
        sfumato.errors.SfumatoError: as `edit_plate` says, naming the frame.
    """
    from sfumato.diffusion.edit import edit_plate, invert_plate

    inputs, step = EditInputs(job, files, place), _telling(report, frame)
    with naming(f"frame {frame}"):
        source, made = inputs.source(frame), inputs.inversion(frame)
        if made:
            _same_model(job, values, made)  # before gigabytes are read
        how, model = settings_of(values, job.seed, frame), load(job, values, place)
        kept = Kept(model.denoiser, place.store, frame)
        asked, words = replace(model, denoiser=kept), (values["source"], values["target"])
        _say_unread(job, {"source": words[0], "target": words[1]}, model, place)
        up = (0, 0)
        if how.attention != "off" and made is None:  # control looks into a network that answers, not into a file
            made = invert_plate(source.plate, words[0], asked, how, source.mask, step, replay=False)
            up = made.calls
        through = asked if how.attention == "off" else model
        edit = edit_plate(source.plate, *words, through, how, source.mask, made, step)
    edit.calls["up"] += up[0]
    return source, edit, _stats(source, edit, kept.remembered, place)


def inverted(
    job: Job, files: Files, values: Mapping[str, Any], frame: int, report: Report, place: Place
) -> tuple[Inversion, dict[str, Any]]:
    """A frame's inversion, and what its record says.

    Raises:
        sfumato.errors.SfumatoError: as `invert_plate` says, naming the frame.
    """
    import time

    from sfumato.diffusion.inversion import invert_plate

    with naming(f"frame {frame}"):
        source = EditInputs(job, files, place).source(frame)
        how, model = settings_of(values, job.seed, frame), load(job, values, place)
        _say_unread(job, {"source": values["source"]}, model, place)
        kept = Kept(model.denoiser, place.store, frame)
        began, store = time.perf_counter(), bool(values["states"])
        made = invert_plate(
            source.plate,
            values["source"],
            replace(model, denoiser=kept),
            how,
            source.mask,
            _telling(report, frame),
            store=store,
        )
    walk = made.record.walk
    return made, {
        "seconds": time.perf_counter() - began,
        "calls": sum(made.calls),
        "calls_remembered": kept.remembered,
        "replay_digest": made.replay_digest,
        "side_bits": walk.bits.per_element(walk.pair.noisier.numel()),
        "view": made.view.words(),
        "holes": int(source.plate.holes().sum()),
        "device": str(place.device),
    }


def settings_of(values: Mapping[str, Any], seed: int, frame: int) -> EditSettings:
    """The engine's settings for a job's parameters; the grain is another in every frame."""
    from dataclasses import fields

    from sfumato.diffusion.request import EditSettings

    named = {field.name: values[field.name] for field in fields(EditSettings) if field.name in values}
    grain = hashlib.sha256(f"{seed}/grain/{frame}".encode()).digest()
    return EditSettings(
        **named, weights=factors(values.get("reweight", "")), seed=int.from_bytes(grain[:8], "big") >> 1
    )


def _same_model(job: Job, values: Mapping[str, Any], inversion: Inversion) -> None:
    from sfumato.diffusion.record import RecordMismatchError

    there, here = inversion.record.fingerprint.model, about(job, values["model"]).digest
    if there != here:
        stored = bool(inversion.record.walk.states)
        raise RecordMismatchError([f"model: {there[:12]}... in the record, {here[:12]}... here"], stored)


def _say_unread(job: Job, words: Mapping[str, str], model: Model, place: Place) -> None:
    """Say which words of the prompts mean nothing to a model: it edits all the same."""
    for name, prompt in words.items():
        if unknown := model.unknown(prompt):
            place.note(
                f"{job.tool}: {model.name} never learnt {', '.join(unknown)} (in {name}); any other word is the same"
            )
        if cut := model.cut(prompt):
            place.note(f"{job.tool}: {model.name} does not read the end of {name}: {cut}")


def _telling(report: Report, frame: int) -> Report:
    return lambda step: report(replace(step, frame=frame))


def _stats(source: Source, edit: Edit, remembered: int, place: Place) -> dict[str, Any]:
    return {
        "seconds": sum(edit.seconds.values()),
        **{f"seconds_{name}": value for name, value in edit.seconds.items()},
        "calls": sum(edit.calls.values()),
        **{f"calls_{name}": value for name, value in edit.calls.items()},
        "calls_remembered": remembered,
        "recon_digest": edit.recon_digest,
        "replay_digest": edit.replay_digest,
        "exact": edit.recon_digest == edit.replay_digest,
        "view": edit.view.words(),
        **{f"latent_{name}": value for name, value in edit.latents.items()},
        "changed": float((edit.delta != 0).any(0).float().mean()),
        "holes": int(source.plate.holes().sum()),
        "device": str(place.device),
    }
