"""An edit in words: a plate goes up to noise under one prompt and comes down under another.

Zhang, Lewis, Kleijn 2023, section on editing: invert under the source, hand over the pair of latents, sample under the
target with the same gamma. What the decodes of source and target have in common is not changed, and what they differ in
is laid over the plate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.device import deterministic
from sfumato.diffusion.display import display_of
from sfumato.diffusion.inversion import Inversion, invert_plate, load_inversion
from sfumato.diffusion.request import PLAIN, EditSettings, device_of, said
from sfumato.diffusion.residual import Pictures, lay
from sfumato.diffusion.trip import by_bdia, by_ddim
from sfumato.diffusion.window import View, seen
from sfumato.plate import RGB, Plate
from sfumato.report import Report, Step, silent

if TYPE_CHECKING:
    from sfumato.models.model import Model

__all__ = ["Edit", "EditSettings", "Inversion", "edit_plate", "invert_plate", "load_inversion"]


@dataclass(frozen=True)
class Edit:
    """What came of it.

    pixels: (3, H, W) float32 over the plate's data window, in its own values; its own bits where nothing was changed.
    delta: (3, H, W): plate + delta is pixels, to the bit. mask: (1, H, W) 0..1, what was let through.
    plate, recon, edit: (3, rows, columns) display-referred 0..1, as the model saw the plate and what it made of it.
    view: Where these lie on the plate.
    calls: Network calls made here: up (none with a given inversion), down under the source, down under the target.
    recon_digest, replay_digest: SHA-256 of the decoded latent before the walk and after it: equal, for the trip is
        exact.
    latents: Of the noise that the walk reached: mean, deviation, excess kurtosis and correlation of neighbours, which
        are 0, 1, 0, 0 for what the model was trained on; and the node it was reached at.
    seconds: Up (and back, where it was), down, and on the plate.
    """

    pixels: Tensor
    delta: Tensor
    mask: Tensor
    plate: Tensor
    recon: Tensor
    edit: Tensor
    view: View
    calls: dict[str, int]
    recon_digest: str
    replay_digest: str
    latents: dict[str, float]
    seconds: dict[str, float]

    def applied(self, plate: Plate) -> Plate:
        """The plate with its colour edited; every other channel keeps its bits. A grey plate becomes R, G, B."""
        colour = RGB if set(RGB) <= set(plate.channels) else ("Y",) if "Y" in plate.channels else plate.channels[:1]
        others = [i for i, name in enumerate(plate.channels) if name not in colour]
        channels = (*RGB, *(plate.channels[i] for i in others))
        return plate.replace(pixels=torch.cat([self.pixels, plate.pixels[others]]), channels=channels)


def edit_plate(
    plate: Plate,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings = PLAIN,
    mask: Tensor | None = None,
    inversion: Inversion | None = None,
    report: Report = silent,
) -> Edit:
    """Change what the target prompt says otherwise than the source, and not a bit of the rest.

    With K = strength x steps: K + 3 calls up, K - 1 down under the source, K - 1 under the target; one each for a
    guided pair. The first two were spent already where an inversion is given, unless attention is controlled.

    Frames of a shot share nothing but settings: each has the noise that its own inversion leads to, so what is edited
    flickers, more the further up the walk goes. One edited frame, tracked as a patch, does not.

    Args:
        plate: R, G, B in scene-linear light, or display-coded; NaN and infinity are holes, which stay.
        source, target: What is there, and what should be.
        model: What `load_model` gives.
        settings: See there.
        mask: (1, H, W) 0..1 over the data window, where the edit may act. Without one it acts where it changed
            something.
        inversion: From `invert_plate`; otherwise it is made here.
        report: Told after every step.

    Raises:
        RequestError: empty prompts, a mask of another size, an inversion of something else, attention that cannot be
            controlled.
        InputError: no finite pixel.
    """
    said(source, "source")
    said(target, "target")
    began = time.perf_counter()
    way = by_ddim if settings.method == "ddim" else by_bdia
    with torch.no_grad(), deterministic(device_of(model)):
        trip = way(plate, source, target, model, settings, mask, inversion, report)
    down, display = time.perf_counter(), display_of(plate, settings.exposure)
    shown = Pictures(trip.view, display, trip.recon.clamp(0, 1), trip.edit.clamp(0, 1))
    laid = lay(plate, shown, mask, keep_detail=settings.keep_detail, auto_mask=settings.auto_mask, seed=settings.seed)
    report(Step("lay", 1, 1, plate.frame))
    return Edit(
        laid.pixels,
        laid.delta,
        laid.mask,
        seen(plate, trip.view, display),
        shown.recon,
        shown.edit,
        trip.view,
        trip.calls,
        trip.digests[0],
        trip.digests[1],
        trip.latents,
        {"up": trip.risen - began, "down": down - trip.risen, "plate": time.perf_counter() - down},
    )
