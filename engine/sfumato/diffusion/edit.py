"""An edit in words: a plate goes up to noise under one prompt and comes down under another.

Zhang, Lewis, Kleijn 2023, section on editing: invert under the source, hand over the pair of latents, sample under the
target with the same gamma and guidance. The source is sampled too: what its decode and the target's have in common is
not changed, and what they differ in is laid over the plate.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sfumato.diffusion.beside import resample_beside
from sfumato.diffusion.ddim import ddim_invert, ddim_sample
from sfumato.diffusion.inversion import (
    PLAIN,
    Counted,
    EditSettings,
    Inversion,
    fits,
    invert_plate,
    make_edit_plan,
    said,
    seen,
    under,
    view_of,
)
from sfumato.diffusion.residual import lay
from sfumato.diffusion.walk import arithmetic, latent, resample, resample_stored
from sfumato.diffusion.window import View
from sfumato.report import Report, Step, silent

if TYPE_CHECKING:
    from sfumato.models.attention import Control
    from sfumato.models.model import Model


@dataclass(frozen=True)
class Edit:
    """What came of it.

    pixels: (3, H, W) float32 scene-linear; the plate's own bits where nothing was changed.
    delta: (3, H, W), pixels less plate. mask: (1, H, W), what was let through.
    plate, recon, edit: (1, 3, rows, columns) display-referred, as the model saw the plate and what the codec gave back.
    view: Where these lie on the plate.
    calls: Network calls made here: up (none with a given inversion), down under the source, down under the target.
    recon_digest, replay_digest: Of the decoded latent before the walk and after it: equal, for the trip is exact.
    latents: Mean, standard deviation, and correlation of neighbours of the latent at the top; of clean noise 0, 1, 0
        times the schedule's sigma.
    seconds: Up, down, and on the plate.
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
    latents: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def edit_plate(
    plate: Tensor,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings = PLAIN,
    mask: Tensor | None = None,
    inversion: Inversion | None = None,
    report: Report = silent,
) -> Edit:
    """Change what the target prompt says otherwise than the source, and not a bit of the rest.

    Args:
        plate: (3, H, W) float32 scene-linear, the light a display's sRGB primaries are made of; NaN is a hole.
        source, target: What is there, and what should be.
        model: What `load_model` gives.
        settings: See there.
        mask: (1, H, W) 0..1, where the edit may act. Without one it acts where it changed something.
        inversion: From `invert_plate`; otherwise it is made here.
        report: Told after every step.

    Raises:
        RequestError: empty prompts, a mask of another size, settings out of range, an inversion of something else.
        InputError: no finite pixel.
    """
    said(target, "target")
    began = time.perf_counter()
    with torch.no_grad():
        if settings.method == "ddim":
            return _by_ddim(plate, source, target, model, settings, mask, report)
        control = _control(source, target, model, settings)
        made, same = inversion is None, True
        if inversion is None:
            inversion = invert_plate(plate, source, model, settings, mask, report)
        else:
            same = fits(inversion, plate, source, model, settings)
        up = time.perf_counter()
        plan, walk = inversion.record.plan, inversion.record.walk
        ours, theirs = (Counted(under(model, p, settings.guidance)) for p in (source, target))
        first, second = control(ours, theirs, plan.grid) if control else (ours, theirs)
        if not same:
            replay = resample_stored(plan, ours, ours, walk, report)
            edited = latent(plan, resample_stored(plan, second, first, walk, report))
        elif settings.strength == 0:
            replay = resample(plan, ours, walk, report, verify=True)
            edited = latent(plan, replay)
        else:
            replay, edit_walk = resample_beside(plan, first, second, walk, report)
            edited = latent(plan, edit_walk)
        states = arithmetic(plan)
        data = states.enter(model.codec.encode(seen(plate, inversion.view)))
        before, recon, edit = (model.codec.decode(z) for z in (states.show(data), latent(plan, replay), edited))
        down = time.perf_counter()
        calls = {"up": inversion.calls if made else 0, "source": ours.calls, "target": theirs.calls}
        top = _latent_statistics(states.show(walk.pair.noisier), plan.grid.nodes[-1].sigma)
        found = _laid(plate, seen(plate, inversion.view), recon, edit, inversion.view, settings, mask, calls)
        report(Step("on the plate", 1, 1))
    seconds = {"up": up - began, "down": down - up, "plate": time.perf_counter() - down}
    return replace(
        found,
        latents=top,
        seconds=seconds,
        recon_digest=picture_digest(before),
        replay_digest=picture_digest(recon),
    )


def picture_digest(picture: Tensor) -> str:
    """SHA-256 of a picture's float32 values."""
    return hashlib.sha256(picture.detach().cpu().float().contiguous().numpy().tobytes()).hexdigest()


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


def _laid(
    plate: Tensor,
    picture: Tensor,
    recon: Tensor,
    edit: Tensor,
    view: View,
    settings: EditSettings,
    mask: Tensor | None,
    calls: dict[str, int],
) -> Edit:
    generator = torch.Generator().manual_seed(settings.seed)
    laid = lay(
        plate,
        recon,
        edit,
        view,
        mask,
        keep_detail=settings.keep_detail,
        automatic=settings.automatic,
        generator=generator,
    )
    digest = picture_digest(recon)
    return Edit(laid.pixels, laid.delta, laid.mask, picture, recon, edit, view, calls, digest, digest)


def _by_ddim(
    plate: Tensor,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings,
    mask: Tensor | None,
    report: Report,
) -> Edit:
    """The peer: DDIM up, DDIM down. What comes back under the source is not what went up."""
    view = view_of(plate, mask, model)
    grid = make_edit_plan(model, settings).grid
    ours, theirs = (Counted(under(model, p, settings.guidance)) for p in (source, target))
    picture = seen(plate, view)
    data = model.codec.encode(picture)
    top = ddim_invert(ours, grid, data)
    up = ours.calls
    recon, edit = (model.codec.decode(ddim_sample(p, grid, top)) for p in (ours, theirs))
    calls = {"up": up, "source": ours.calls - up, "target": theirs.calls}
    found = _laid(plate, picture, recon, edit, view, settings, mask, calls)
    statistics = _latent_statistics(top, grid.nodes[-1].sigma)
    return replace(found, recon_digest=picture_digest(model.codec.decode(data)), latents=statistics)


def _latent_statistics(top: Tensor, sigma: float) -> dict[str, float]:
    z = top.double() / sigma
    centred = z - z.mean()
    beside = (centred[..., 1:] * centred[..., :-1]).mean() / centred.square().mean().clamp_min(1e-12)
    return {"mean": float(z.mean()), "deviation": float(z.std()), "neighbours": float(beside)}
