"""A short shot to try mattes on: a furred creature before a street at dusk, with the exact answer beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato.demo.backdrop import paint
from sfumato.demo.creature import Coat, grow, pose_at
from sfumato.demo.fur import draw
from sfumato.matte.distance import dilate
from sfumato.plate import Plate, Window
from sfumato.report import Report, Step, silent

FIRST = 1001
SPACE = "lin_rec709_scene"
SHUTTER = 0.5  # of a frame
MOMENTS = 6  # in an open shutter
RATE = 24.0  # frames a second


@dataclass(frozen=True)
class Shot:
    """Where a demo shot lies: patterns with ####, and its frames."""

    plate: str
    trimap: str
    truth: str
    clean: str
    frames: tuple[int, ...]


@dataclass(frozen=True)
class DemoFrame:
    """One frame in linear Rec.709 light, float32.

    plate: (3, H, W) with grain. trimap: (1, H, W) of 0, 0.5, 1. clean: (3, H, W), the street alone, no grain.
    colour, alpha: (3, H, W) premultiplied and (1, H, W), exact: without grain, plate = colour + (1 - alpha) clean.
    """

    plate: Tensor
    trimap: Tensor
    colour: Tensor
    alpha: Tensor
    clean: Tensor


def make_shot(
    out: str | Path, frames: int = 8, size: tuple[int, int] = (640, 360), seed: int = 0, report: Report = silent
) -> Shot:
    """Draw a shot into a folder, which is created: plate, trimap, truth (RGBA premultiplied) and clean plate as EXR.

    Args:
        out: Folder.
        frames: How many, from 1001.
        size: Width and height in pixels; any, from 32 x 32.
        seed: Another seed is another coat, another street and other grain.
    """
    from sfumato.io import write_image

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = tuple(range(FIRST, FIRST + frames))
    window = Window(0, 0, *size)
    for step, (number, frame) in enumerate(zip(numbers, draw_frames(frames, size, seed), strict=True), start=1):
        layers = {
            "plate": (frame.plate, ("R", "G", "B"), SPACE),
            "trimap": (frame.trimap, ("Y",), None),
            "truth": (torch.cat([frame.colour, frame.alpha]), ("R", "G", "B", "A"), SPACE),
            "clean": (frame.clean, ("R", "G", "B"), SPACE),
        }
        for name, (pixels, channels, space) in layers.items():
            picture = Plate(pixels.contiguous(), channels, space, window, window, metadata={"FramesPerSecond": RATE})
            write_image(folder / f"{name}.{number}.exr", picture, half=name in ("plate", "clean"))
        report(Step("drawing", step, frames, frame=number))
    plate, trimap, truth, clean = (str(folder / f"{name}.####.exr") for name in ("plate", "trimap", "truth", "clean"))
    return Shot(plate, trimap, truth, clean, numbers)


def draw_frames(frames: int, size: tuple[int, int], seed: int = 0) -> Iterator[DemoFrame]:
    """The frames of a shot one by one. A frame is the same however many are asked for."""
    height = size[1]
    coat = grow(int(15000 * min(1.0, 0.35 + 0.65 * height / 360)), np.random.default_rng([seed, 1]))
    for i in range(frames):
        yield _frame(coat, i, size, seed)


def _frame(coat: Coat, index: int, size: tuple[int, int], seed: int) -> DemoFrame:
    moments = [(index + SHUTTER * (m + 0.5) / MOMENTS) / RATE for m in range(MOMENTS)]
    sheet = draw(coat, [pose_at(t) for t in moments], size)
    street = paint(size, 0.10 * moments[MOMENTS // 2], np.random.default_rng([seed, 2]))
    alpha = torch.from_numpy(sheet.coverage)[None]
    colour = torch.from_numpy(sheet.colour).permute(2, 0, 1)
    clean = torch.from_numpy(street).permute(2, 0, 1)
    plate = grain(colour + (1 - alpha) * clean, np.random.default_rng([seed, 3, index]))
    return DemoFrame(plate, trimap_of(alpha), colour, alpha, clean)


def grain(light: Tensor, rng: np.random.Generator, read: float = 0.0012, shot: float = 0.00006) -> Tensor:
    """A sensor's noise on linear light (3, H, W): variance read^2 + shot x light, a little blurred by the debayer."""
    noise = torch.from_numpy(rng.standard_normal(tuple(light.shape), dtype=np.float32))
    kernel = torch.tensor([0.12, 0.76, 0.12])
    noise = torch.nn.functional.pad(noise[None], (1, 1, 1, 1), mode="reflect")[0][:, None]
    noise = torch.nn.functional.conv2d(noise, (kernel[:, None] * kernel)[None, None])[:, 0]
    return light + noise / float((kernel**2).sum()) * (read**2 + shot * light.clamp_min(0)).sqrt()


def trimap_of(alpha: Tensor, reach: float = 0.012) -> Tensor:
    """A trimap as an artist would paint it round a known alpha (1, H, W): a margin of reach x height on both sides."""
    radius = max(2.0, reach * alpha.shape[1])
    trimap = torch.full_like(alpha, 0.5)
    trimap[0][~dilate(alpha[0] > 0, radius)] = 0
    trimap[0][~dilate(alpha[0] < 1, radius)] = 1
    return trimap
