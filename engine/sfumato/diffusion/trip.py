"""The trip of an edit: up under the source, down under the target, and what is needed to say that it was exact."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from sfumato.diffusion.beside import resample_beside
from sfumato.diffusion.ddim import ddim_invert, ddim_sample
from sfumato.diffusion.display import display_of
from sfumato.diffusion.inversion import Inversion, invert_plate, phased, picture_digest
from sfumato.diffusion.matching import clean_of, fits
from sfumato.diffusion.request import Counted, EditSettings, device_of, plan_of, under, view_of
from sfumato.diffusion.schedule import Node
from sfumato.diffusion.walk import arithmetic, latent, resample, resample_stored
from sfumato.diffusion.window import View, seen
from sfumato.errors import RequestError
from sfumato.plate import Plate
from sfumato.report import Report

if TYPE_CHECKING:
    from sfumato.models.attention import Control
    from sfumato.models.model import Model


@dataclass(frozen=True)
class Trip:
    """Up and down.

    view: Where on the plate. recon, edit: (3, rows, columns) as the codec answers, not clipped. digests: Of the decoded
    latent before the walk and after it. calls, latents: See `Edit`. risen: `perf_counter` when it was up.
    """

    view: View
    recon: Tensor
    edit: Tensor
    calls: dict[str, int]
    digests: tuple[str, str]
    latents: dict[str, float]
    risen: float


def by_bdia(
    plate: Plate,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings,
    mask: Tensor | None,
    inversion: Inversion | None,
    report: Report,
) -> Trip:
    """As `edit_plate` says; without gradients, and on a machine that was told to be deterministic."""
    view_of(plate, mask, model)  # a mask of another size is refused now
    control = _control(source, target, model, settings)
    spent, same = (0, 0), True
    if inversion is None:
        inversion = invert_plate(plate, source, model, settings, mask, report, replay=control is None)
        spent = inversion.calls
    else:
        same = fits(inversion.record, inversion.view, plate, source, model, settings, mask)
    same = same and not inversion.drifts
    risen = time.perf_counter()
    plan, walk = inversion.record.plan, inversion.record.walk
    clean = clean_of(inversion.record, inversion.view, plate, model, settings)
    ours, theirs = _asked(source, target, model, settings)
    idle = _idle(source, target, settings)
    first, second = control(ours, theirs, plan.grid) if control and not idle else (ours, theirs)
    replay = None
    if not same:
        replay = resample_stored(plan, ours, ours, walk, phased(report, "replay"))
        edited = resample_stored(plan, second, second if idle else first, walk, report)
    elif control or not inversion.replay_digest:
        replay, edited = resample_beside(plan, first, second, walk, report)
    else:
        edited = resample(plan, second, walk, report, verify=idle)
    states = arithmetic(plan)
    before, noise = states.show(clean), states.show(walk.pair.noisier)
    recon, edit = _decoded(model, before), _decoded(model, latent(plan, edited))
    back = picture_digest(_decoded(model, latent(plan, replay))) if replay else inversion.replay_digest
    return Trip(
        inversion.view,
        recon,
        edit,
        {"up": spent[0], "source": spent[1] + ours.calls, "target": theirs.calls},
        (picture_digest(recon), back),
        _latents(noise, before, plan.grid.nodes[-1], plan.grid.steps),
        risen,
    )


def by_ddim(
    plate: Plate,
    source: str,
    target: str,
    model: Model,
    settings: EditSettings,
    mask: Tensor | None,
    inversion: Inversion | None,
    report: Report,
) -> Trip:
    """The peer: DDIM up, DDIM down. What comes back under the source is not what went up, so that is its recon."""
    if inversion is not None:
        raise RequestError("a record of an exact inversion is of no use to DDIM", "leave the record out, or use bdia")
    view, grid = view_of(plate, mask, model), plan_of(model, settings).grid
    ours, theirs = _asked(source, target, model, settings)
    picture = seen(plate, view, display_of(plate, settings.exposure))
    clean = model.codec.encode(picture[None].to(device_of(model)))
    noise = ddim_invert(ours, grid, clean)
    up, risen = ours.calls, time.perf_counter()
    recon, edit = (_decoded(model, ddim_sample(predictor, grid, noise)) for predictor in (ours, theirs))
    calls = {"up": up, "source": ours.calls - up, "target": theirs.calls}
    digests = picture_digest(_decoded(model, clean)), picture_digest(recon)
    return Trip(view, recon, edit, calls, digests, _latents(noise, clean, grid.nodes[-1], grid.steps), risen)


def _idle(source: str, target: str, settings: EditSettings) -> bool:
    """Whether nothing is to change."""
    return settings.strength == 0 or (target == source and not settings.weights)


def _asked(source: str, target: str, model: Model, settings: EditSettings) -> tuple[Counted, Counted]:
    """The model under each prompt; where nothing is to change, twice as on the way up."""
    ours = Counted(under(model, source, settings.invert_guidance))
    if _idle(source, target, settings):
        return ours, Counted(under(model, source, settings.invert_guidance))
    return ours, Counted(under(model, target, settings.guidance))


def _decoded(model: Model, latent: Tensor) -> Tensor:
    return model.codec.decode(latent)[0].cpu().float()


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
