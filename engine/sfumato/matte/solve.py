"""One picture, or one and its neighbours in time, with their trimaps in; one matte out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as nnf
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.matte.classical import Guess, Problem, Solved, solve_classical
from sfumato.matte.fit import Checkpoint, Evidence, Fitted, fit
from sfumato.matte.foreground import estimate_foreground
from sfumato.matte.settings import MatteSettings
from sfumato.matte.trimap import unknown_box
from sfumato.report import Report, silent
from sfumato.shapes import expect

SMALLEST = 32  # side of the prior's picture, pixels: it is halved four times
MARGIN = 1 / 8  # of the long side: known surroundings kept around the unknown band


@dataclass(frozen=True)
class Matte:
    """What a solve gives back, on the CPU.

    alpha: (1, H, W) float32 in 0..1, exactly 0 and 1 where the trimap is.
    foreground, background: (3, H, W) float32, straight, in the picture's own light.
    confidence: (1, H, W) float32 in 0..1, 1 where the trimap is known.
    stats: Numbers and words for the frame's record: iterations, losses, residual, seconds, device.
    state: The prior's weights, to start other frames from; empty without the prior.
    """

    alpha: Tensor
    foreground: Tensor
    background: Tensor
    confidence: Tensor
    stats: dict[str, float | int | str] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameInput:
    """One frame as the solver takes it.

    image: (3, H, W) float32, finite, in the light where compositing holds: unclipped scene-linear for plates, coded
        values for display-referred stills.
    trimap: (1, H, W) float32 of exactly 0, 0.5 and 1.
    clean_plate: (3, H, W) the background, where it is known.
    coded: Whether the values are display-coded, so that their differences are as the eye sees them.
    """

    image: Tensor
    trimap: Tensor
    clean_plate: Tensor | None = None
    coded: bool = False


def solve_matte(
    image: Tensor,
    trimap: Tensor,
    settings: MatteSettings,
    generator: torch.Generator | None = None,
    report: Report = silent,
    *,
    clean_plate: Tensor | None = None,
    coded: bool = False,
) -> Matte:
    """Solve I = alpha F + (1 - alpha) B for one picture. For the arguments see `FrameInput` and `solve_among`.

    Raises:
        ShapeError: sizes do not agree.
    """
    return solve_among([FrameInput(image, trimap, clean_plate, coded)], 0, settings, generator, report)


def solve_among(
    frames: Sequence[FrameInput],
    centre: int,
    settings: MatteSettings,
    generator: torch.Generator | None = None,
    report: Report = silent,
    *,
    motion: Sequence[tuple[Tensor, Tensor]] = (),
    warm: dict[str, Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
    device: torch.device | None = None,
) -> Matte:
    """Solve I = alpha F + (1 - alpha) B for one of some consecutive frames, all of them together.

    Args:
        frames: The frame and its neighbours in time, ascending, one size.
        centre: Which of them is wanted.
        settings: See `preset`.
        generator: Where the prior's noise and first weights come from; None is seed 0.
        report: Who is told; may raise `Cancelled`.
        motion: Between each frame and the next, ahead and back, (2, H, W) pixels; see `Problem`.
        warm: Another frame's `Matte.state`.
        checkpoint: Where the prior's fit is kept while it is under way.
        device: Where to compute; None is where the image is.

    Raises:
        ShapeError: sizes do not agree.
        RequestError: the frame holds values that are not finite.
    """
    began = time.perf_counter()
    frame = frames[centre]
    for each in frames:
        n = expect("image", each.image, "C H W", C=3)
        expect("trimap", each.trimap, "C H W", C=1, H=n["H"], W=n["W"])
    device = device or frame.image.device
    generator = generator or torch.Generator().manual_seed(0)
    trimap = torch.stack([f.trimap for f in frames])
    box = unknown_box(trimap.eq(0.5).any(0).float() * 0.5, max(16, round(MARGIN * max(trimap.shape[-2:]))))
    alpha, confidence = frame.trimap.clone(), torch.ones_like(frame.trimap)
    stats: dict[str, float | int | str] = {"iterations": 0}
    fitted = None
    if box is not None:
        crop = Crop(frames, centre, box, motion, device)
        problem = crop.problem(settings)
        solved = solve_classical(problem, report)
        stats["iterations"] = solved.iterations
        if settings.prior:
            evidence = crop.evidence(problem, solved, settings)
            fitted = fit(evidence, settings, generator, report, warm, checkpoint)
            solved = solve_classical(problem, report, crop.guess(solved, evidence, fitted, settings), solved.alpha)
            stats |= {"iterations": solved.iterations, "prior_steps": settings.warm_steps if warm else settings.steps}
            stats |= {f"loss_{name}": value for name, value in fitted.losses.items()}
        inside = (slice(None), *box)
        alpha[inside] = solved.alpha[centre].cpu()
        confidence[inside] = crop.confidence(solved, fitted)
    if not torch.isfinite(alpha).all():
        raise RequestError("the plate holds values the solver cannot add up", "look for pixels above 1e18")
    foreground, background = estimate_foreground(
        frame.image, alpha, frame.trimap, background=frame.clean_plate, report=report
    )
    stats |= {"seconds": time.perf_counter() - began}
    return Matte(alpha, foreground, background, confidence, stats, fitted.weights if fitted else {})


class Crop:
    """The part of some frames around their unknown band, exposed so that colours are of order one."""

    def __init__(
        self,
        frames: Sequence[FrameInput],
        centre: int,
        box: tuple[slice, slice],
        motion: Sequence[tuple[Tensor, Tensor]],
        device: torch.device,
    ) -> None:
        inside = (slice(None), *box)
        self.centre = centre
        self.extent = max(frames[centre].image.shape[-2:])
        self.image = torch.stack([f.image[inside] for f in frames]).to(device)
        self.trimap = torch.stack([f.trimap[inside] for f in frames]).to(device)
        self.motion = [(a[inside].to(device), b[inside].to(device)) for a, b in motion]
        clean = [f.clean_plate for f in frames]
        self.clean = None
        if all(c is not None for c in clean):
            self.clean = torch.stack([c[inside] for c in clean if c is not None]).to(device)
        self.feature, self.coded = self.image, frames[centre].coded
        if not self.coded:
            unit = exposure(frames[centre].image)
            self.image = self.image / unit
            self.clean = None if self.clean is None else self.clean / unit
            self.feature = as_seen(self.image)

    def problem(self, settings: MatteSettings) -> Problem:
        return Problem(
            self.image,
            self.feature,
            self.trimap,
            settings.classical,
            self.motion,
            clean=self.clean,
            extent=self.extent,
        )

    def evidence(self, problem: Problem, solved: Solved, settings: MatteSettings) -> Evidence:
        """The wanted frame at the prior's size; the layers' palette is the mean of the known colours nearest."""
        one = slice(self.centre, self.centre + 1)
        sure = torch.exp(-(((solved.alpha - solved.sampled) / 0.2) ** 2))
        fore, back = (layer if self.coded else as_seen(layer) for layer in problem.palette())
        parts = [self.image, self.feature, self.trimap, solved.alpha, sure, fore, back]
        parts += [] if self.clean is None else [self.clean]
        scale = min(1.0, settings.size / max(self.image.shape[-2:]))
        height, width = (max(SMALLEST, round(n * scale)) for n in self.image.shape[-2:])
        small = (nnf.adaptive_avg_pool2d(part[one], (height, width)) for part in parts)
        light, picture, trimap, alpha, sure, fore, back, *clean = small
        # A reduced pixel stays known only if its whole footprint is.
        trimap = torch.where(trimap == 0, 0.0, torch.where(trimap == 1, 1.0, 0.5))
        return Evidence(light, picture, trimap, alpha, sure, fore, back, self.coded, *clean)

    def guess(self, solved: Solved, evidence: Evidence, fitted: Fitted, settings: MatteSettings) -> Guess:
        """The prior's change of alpha, brought to full size; believed where it has settled, and the less the
        smaller its picture was: it cannot know about detail it has not seen.

        # Differs from the paper: only what it takes away from alpha is believed. For that a smooth background, known
        # all around, must explain the plate; for more alpha the foreground network may paint any colour it likes.
        # Measured: leopard (fur before HDR light) 18.7 against 20.0 with both directions and 18.8 with neither,
        # GT08 15.1 against 15.1 and 15.6, GT25 45.9 against 46.3 and 47.8 (MSE x 1e3, single frames).
        """
        size = self.image.shape[-2:]
        change = nnf.interpolate(fitted.alpha - evidence.alpha, size, mode="bilinear", align_corners=False)
        settled = nnf.interpolate(1 / (1 + (fitted.spread / 0.05) ** 2), size, mode="bilinear", align_corners=False)
        alpha, weight = solved.alpha.clone(), torch.zeros_like(solved.alpha)
        alpha[self.centre] = (alpha[self.centre] + change[0]).clamp(0, 1)
        detail = evidence.alpha.shape[-2] * evidence.alpha.shape[-1] / (size[0] * size[1])
        weight[self.centre] = settings.belief * min(1.0, detail) * settled[0] * (change[0] < 0)
        return Guess(alpha, weight)

    def confidence(self, solved: Solved, fitted: Fitted | None) -> Tensor:
        """(1, h, w) on the CPU: agreement of the answer with known colours, and calm of the prior; 1 where known."""
        trimap = self.trimap[self.centre]
        doubt = (solved.alpha - solved.sampled)[self.centre].abs()
        if fitted is not None:
            spread = nnf.interpolate(fitted.spread, trimap.shape[-2:], mode="bilinear", align_corners=False)
            doubt = doubt + 2 * spread[0]
        return torch.where(trimap == 0.5, (1 - doubt).clamp(0, 1), 1.0).cpu()


def exposure(image: Tensor) -> Tensor:
    """The brightness that counts as one: the 90th percentile of the mean of the channels, of at most 1e5 pixels."""
    light = image.mean(0).flatten()
    return torch.quantile(light[:: max(1, light.numel() // 100_000)].float(), 0.9).clamp_min(1e-6)


def as_seen(image: Tensor) -> Tensor:
    """Linear light as the eye compares it: a power of 1/2.2, odd around zero, nothing clipped."""
    return image.sign() * image.abs().pow(1 / 2.2)
