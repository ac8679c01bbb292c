"""What a matte bench measures beside alpha: foreground colour, and what a picture costs against its unknown pixels."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches import ours, peers
from sfumato_plugins.benches.cases import Case, Frame, Path
from sfumato_plugins.benches.stills import read_still

if TYPE_CHECKING:
    from torch import Tensor

GREY = 0.18
GRAIN = 0.004  # of the held-frame test: variance GRAIN^2 (1 + light)
COST_SIZES = (192, 256, 384, 512, 768)


def disc() -> Case:
    """A soft disc of 48 x 48 pixels: the smallest matting problem there is."""
    import torch

    def load(number: int) -> Frame:
        y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
        distance = torch.hypot(x - 23.5, y - 23.5)
        truth = ((16 - distance) / 4 + 0.5).clamp(0, 1)[None]
        trimap = torch.full_like(truth, 0.5)
        trimap[0][distance < 11] = 1
        trimap[0][distance > 21] = 0
        texture = 0.05 * torch.sin(x * 1.7) * torch.cos(y * 1.3)
        image = truth * torch.tensor([0.7, 0.4, 0.2]).view(3, 1, 1) + (1 - truth) * torch.tensor([0.1, 0.2, 0.5]).view(
            3, 1, 1
        )
        return Frame(image + texture, truth, trimap)

    return Case("disc", 1, (1,), False, load)


def foreground(case: Case, solved: ours.Solved) -> list[dict[str, Any]]:
    """Re-composites over 18 % grey against the true one: PSNR in dB of clipped sRGB over the unknown region, and how
    well each pair of layers explains the plate there (RMS, linear). Means over frames.

    The peer is PyMatting's multi-level foreground with our alpha, in linear light and in coded values.
    """
    from sfumato.matte.metrics import psnr, recomposite_residual

    ratios: dict[str, list[float]] = {}
    residuals: list[float] = []
    for number, alpha, colour, behind in zip(case.numbers, solved.alphas, solved.foregrounds, solved.backgrounds):
        frame = case.load(number)
        if frame.premultiplied is None:
            continue
        truth = peers.srgb(frame.premultiplied + (1 - frame.truth) * GREY)
        layers = {
            "sfumato": colour,
            "multi-level, linear": peers.foreground(frame.image, alpha),
            "multi-level, coded": linear(peers.foreground(peers.srgb(frame.image), alpha)),
        }
        for method, layer in layers.items():
            picture = peers.srgb(alpha * layer + (1 - alpha) * GREY)
            ratios.setdefault(method, []).append(psnr(picture, truth, frame.trimap))
        residuals.append(recomposite_residual(frame.image, alpha, colour, behind, frame.trimap)[0])
    return [
        {
            "case": case.name,
            "method": method,
            "psnr": math.fsum(values) / len(values),
            "residual": math.fsum(residuals) / len(residuals) if method == "sfumato" else None,
        }
        for method, values in ratios.items()
    ]


def held(case: Case, frames: int = 8, seed: int = 0) -> Case:
    """The first frame of a case again and again, each time with fresh grain: alpha should not move."""
    import torch

    def load(number: int) -> Frame:
        frame = case.load(case.numbers[0])
        noise = torch.randn(frame.image.shape, generator=torch.Generator().manual_seed(1000 * seed + number))
        sigma = (GRAIN**2 + GRAIN**2 * frame.image.clamp_min(0)).sqrt()
        return replace(frame, image=frame.image + sigma * noise)

    return replace(case, name=f"{case.name} held", numbers=tuple(range(1, frames + 1)), load=load)


def restlessness(alphas: Sequence[Tensor], trimap: Tensor) -> float:
    """Mean over the unknown region of alpha's standard deviation over time."""
    import torch

    return float(torch.stack(list(alphas)).std(0)[trimap == 0.5].mean())


def with_clean_plate(case: Case) -> Case:
    """The same clip with its background given: (I - premultiplied) / (1 - alpha), continued where alpha hides it."""
    from sfumato.plate import fill_holes

    def load(number: int) -> Frame:
        frame = case.load(number)
        if frame.premultiplied is None:
            return frame
        seen = 1 - frame.truth
        behind = (frame.image - frame.premultiplied) / seen.clamp_min(1e-3)
        return replace(frame, clean=fill_holes(behind, seen < 0.05))

    return replace(case, load=load)


def linear(coded: Tensor) -> Tensor:
    """Light from sRGB-coded values (IEC 61966-2-1)."""
    return (coded / 12.92).where(coded <= 0.04045, ((coded.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def cost(
    data: Path, cases: Sequence[Case], quality: str, device: str, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Seconds of sfumato against unknown pixels, on the photograph with the widest band, at several sizes."""
    stills = [case for case in cases if not case.linear]
    if not stills:
        say("cost: there is no photograph here to reduce; left out")
        return []
    widest = max(stills, key=lambda case: float((case.load(1).trimap == 0.5).float().mean()))
    found = []
    for long in COST_SIZES:
        frame = read_still(data, widest.name, long, widest.trimap)
        case = Case(widest.name, widest.trimap, (1,), False, lambda number, frame=frame: frame)  # type: ignore[misc]
        began = time.monotonic()
        seconds = ours.solve(case, quality, device).seconds
        band = int((frame.trimap == 0.5).sum())
        found.append(
            {
                "case": widest.name,
                "long": max(frame.trimap.shape),
                "pixels": frame.trimap.numel(),
                "band": band,
                "seconds": seconds,
                "microseconds_a_band_pixel": seconds / max(band, 1) * 1e6,
            }
        )
        say(f"cost: {band} pixels in the band, {seconds:.2f} s")
        if time.monotonic() - began > 300:
            break
    return found


def cost_plot(rows: Sequence[dict[str, Any]], width: int = 60) -> str:
    """Bars of seconds beside the band, and the exponent of seconds ~ band^k (1 is linear)."""
    longest = max(row["seconds"] for row in rows)
    lines = [
        f"{row['band']:>9} px {row['seconds']:8.2f} s  " + "#" * max(1, round(width * row["seconds"] / longest))
        for row in rows
    ]
    if len(rows) > 1:
        x = [math.log(row["band"]) for row in rows]
        y = [math.log(row["seconds"]) for row in rows]
        mx, my = math.fsum(x) / len(x), math.fsum(y) / len(y)
        slope = math.fsum((a - mx) * (b - my) for a, b in zip(x, y)) / math.fsum((a - mx) ** 2 for a in x)
        lines.append(f"seconds grow as band^{slope:.2f}")
    return "\n".join(lines)
