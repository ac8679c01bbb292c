"""What a fine-tuning will take, measured on a picture or two and said before it begins."""

from __future__ import annotations

import pathlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sfumato_plugins.report import Teller, spoken

if TYPE_CHECKING:
    from sfumato.models.model import Model
    from sfumato.train.estimate import Estimate
    from sfumato.train.fine_tune import FineTune
    from sfumato.train.pictures import Captioned

Path = pathlib.Path


def estimated(
    model: Model, pictures: list[Captioned], folder: Path, settings: FineTune, teller: Teller
) -> dict[str, Any]:
    """Measure what the training will take, and say it.

    Raises:
        sfumato.errors.MemoryLimitError: it does not fit; how it would, in its hint.
    """
    from sfumato.train.encoded import encode
    from sfumato.train.measured import measure

    data = encode(model, pictures, folder / "probe.safetensors")
    found = measure(model.denoiser, model.levels, model.network, data, settings)
    (folder / "probe.safetensors").unlink(missing_ok=True)
    for line in estimate_lines(found, settings):
        teller.say(line)
    _require(found, settings)
    totals = {"total_kept": found.total(False), "total_reversible": found.total(True)}
    return {**asdict(found), **totals, "fits": found.fits(settings.reversible)}


def estimate_lines(found: Estimate, settings: FineTune) -> list[str]:
    """An estimate in sentences; what is asked for is marked."""
    from sfumato.train.estimate import in_words

    lines = [
        f"train: {found.parameters / 1e6:.1f} million weights {in_words(found.weights)}, gradients "
        f"{in_words(found.gradients)}, optimiser {in_words(found.optimiser)}; {in_words(found.free)} are free"
    ]
    for reversible, name in ((False, "every activation kept"), (True, "--reversible")):
        step, seconds = (found.undone if reversible else found.kept), found.seconds[int(reversible)]
        mark = "->" if reversible == settings.reversible else "  "
        if step is None or seconds is None:
            lines.append(f"    {mark} {name}: not measured")
            continue
        total = found.total(reversible) or 0
        lines.append(
            f"    {mark} {name}: a step of {found.batch} adds {in_words(step)}, {in_words(total)} in all; "
            f"{settings.steps} steps in {spoken(seconds * settings.steps)} at most"
        )
    return lines


def _require(found: Estimate, settings: FineTune) -> None:
    from sfumato.errors import MemoryLimitError
    from sfumato.train.estimate import in_words

    if found.fits(settings.reversible):
        return
    total = found.total(settings.reversible)
    what = f"takes {in_words(total)}" if total is not None else "cannot even be tried on one picture"
    hint = "add --reversible" if not settings.reversible and found.fits(True) else "take a smaller --batch or model"
    raise MemoryLimitError(f"the training {what}, and {in_words(found.free)} are free", hint)
