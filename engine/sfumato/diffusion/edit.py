"""An edit in words: a plate goes up to noise under one prompt and comes down under another.

Zhang, Lewis, Kleijn 2023, section on editing: invert under the source, hand over the pair of latents, sample under the
target with the same gamma and guidance. What the decodes of source and target have in common is not changed, and what
they differ in is laid over the plate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.device import deterministic
from sfumato.diffusion.beside import resample_beside
from sfumato.diffusion.ddim import ddim_invert, ddim_sample
from sfumato.diffusion.display import display_of
from sfumato.diffusion.inversion import (
    Inversion,
    clean_of,
    device_of,
    fits,
    invert_plate,
    load_inversion,
    phased,
    picture_digest,
    seen,
)
from sfumato.diffusion.request import PLAIN, Counted, EditSettings, plan_of, said, under, view_of
from sfumato.diffusion.residual import Pictures, lay
from sfumato.diffusion.schedule import Node
from sfumato.diffusion.walk import arithmetic, latent, resample, resample_stored
from sfumato.diffusion.window import View
from sfumato.plate import RGB, Plate
from sfumato.report import Report, Step, silent

if TYPE_CHECKING:
    from sfumato.models.attention import Control
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
    way = _by_ddim if settings.method == "ddim" else _by_bdia
    with torch.no_grad(), deterministic(device_of(model)):
        trip = way(plate, source, target, model, settings, mask, inversion, report)
        recon, edit = (model.codec.decode(z)[0].cpu().float() for z in (trip.recon, trip.edit))
    down = time.perf_counter()
    picture = seen(plate, trip.view, display_of(plate, settings.exposure))
    shown = Pictures(trip.view, display_of(plate, settings.exposure), recon.clamp(0, 1), edit.clamp(0, 1))
    laid = lay(plate, shown, mask, keep_detail=settings.keep_detail, auto_mask=settings.auto_mask, seed=settings.seed)
    report(Step("lay", 1, 1, plate.frame))
    return Edit(
        laid.pixels,
        laid.delta,
        laid.mask,
        picture,
        shown.recon,
        shown.edit,
        trip.view,
        trip.calls,
        trip.digests[0],
        trip.digests[1],
        trip.latents,
        {"up": trip.risen - began, "down": down - trip.risen, "plate": time.perf_counter() - down},
    )


@dataclass(frozen=True)
class _Trip:
    """Up and down. recon, edit: latents. digests: of the decodes before and after. risen: when it was up."""

    view: View
    recon: Tensor
    edit: Tensor
    calls: dict[str, int]
    digests: tuple[str, str]
    latents: dict[str, float]
    risen: float


def _by_bdia(
    plate: Plate,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings,
    mask: Tensor | None,
    inversion: Inversion | None,
    report: Report,
) -> _Trip:
    view_of(plate, mask, model)
    control = _control(source, target, model, settings)
    spent, same = (0, 0), True
    if inversion is None:
        inversion = invert_plate(plate, source, model, settings, mask, report, replay=control is None)
        spent = inversion.calls
    else:
        same = fits(inversion, plate, source, model, settings, mask)
    same = same and not inversion.drifts
    risen = time.perf_counter()
    plan, walk = inversion.record.plan, inversion.record.walk
    clean = clean_of(inversion, plate, model, settings)
    aim = target if settings.strength > 0 else source
    ours, theirs = (Counted(under(model, prompt, settings.guidance)) for prompt in (source, aim))
    first, second = control(ours, theirs, plan.grid) if control and aim == target else (ours, theirs)
    replay = None
    if not same:
        replay = resample_stored(plan, ours, ours, walk, phased(report, "replay"))
        edited = resample_stored(plan, second, first, walk, report)
    elif control or not inversion.replay_digest:
        replay, edited = resample_beside(plan, first, second, walk, report)
    else:
        edited = resample(plan, second, walk, report, verify=aim == source)
    states = arithmetic(plan)
    recon, noise = states.show(clean), states.show(walk.pair.noisier)
    back = picture_digest(model.codec.decode(latent(plan, replay))) if replay else inversion.replay_digest
    return _Trip(
        inversion.view,
        recon,
        latent(plan, edited),
        {"up": spent[0], "source": spent[1] + ours.calls, "target": theirs.calls},
        (picture_digest(model.codec.decode(recon)), back),
        _latents(noise, recon, plan.grid.nodes[-1], plan.grid.steps),
        risen,
    )


def _by_ddim(
    plate: Plate,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings,
    mask: Tensor | None,
    inversion: Inversion | None,
    report: Report,
) -> _Trip:
    """The peer: DDIM up, DDIM down. What comes back under the source is not what went up, so that is its recon."""
    view, grid = view_of(plate, mask, model), plan_of(model, settings).grid
    ours, theirs = (Counted(under(model, prompt, settings.guidance)) for prompt in (source, target))
    picture = seen(plate, view, display_of(plate, settings.exposure))
    clean = model.codec.encode(picture[None].to(device_of(model)))
    noise = ddim_invert(ours, grid, clean)
    up, risen = ours.calls, time.perf_counter()
    recon, edit = (ddim_sample(predictor, grid, noise) for predictor in (ours, theirs))
    before, after = (picture_digest(model.codec.decode(z)) for z in (clean, recon))
    calls = {"up": up, "source": ours.calls - up, "target": theirs.calls}
    statistics = _latents(noise, clean, grid.nodes[-1], grid.steps)
    return _Trip(view, recon, edit, calls, (before, after), statistics, risen)


def _control(source: str, target: str, model: Model, settings: EditSettings) -> Control | None:
    """Attention control, if there is to be any: here, so that what it refuses is refused before the way up."""
    if settings.attention == "off":
        return None
    from sfumato.models.attention import controlled

    return controlled(
        model,
        source,
        target,
        settings.attention,
        until=settings.until,
        weights=settings.weights,
        layout=settings.layout,
    )


def _latents(noise: Tensor, clean: Tensor, node: Node, steps: int) -> dict[str, float]:
    """What the latent at the top holds besides the picture, if that is noise: see `Edit.latents`."""
    eps = ((noise.double() - node.alpha * clean.double()) / node.sigma).cpu()
    z = (eps - eps.mean()) / eps.std().clamp_min(1e-12)
    beside = (z[..., 1:] * z[..., :-1]).mean() + (z[..., 1:, :] * z[..., :-1, :]).mean()
    return {
        "node": float(steps),
        "time": node.time,
        "mean": float(eps.mean()),
        "deviation": float(eps.std()),
        "kurtosis": float(z.pow(4).mean()) - 3,
        "neighbours": float(beside) / 2,
    }
