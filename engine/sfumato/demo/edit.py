"""A plate to try edits on: plain things on grass at dusk, unclipped light and grain, a mask round one of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato.demo.matte import SPACE, grain
from sfumato.diffusion.display import Display
from sfumato.models.training.render import render
from sfumato.models.training.scenes import Scene, Thing
from sfumato.plate import Plate, Window

FIRST = 1001
LAMP = 60.0  # scene-linear, at the lamp's centre
SOURCE, TARGET = "a red ball on grass", "a blue ball on grass"
_BALL = Thing("ball", "red", 0.56, 0.5, 0.17)
_SCENE = Scene((Thing("box", "yellow", 0.16, 0.58, 0.15), _BALL), "grass", light=-0.5, seed=11)


@dataclass(frozen=True)
class Shot:
    """Where a demo plate and its mask lie: patterns with ####, and the frame."""

    plate: str
    mask: str
    frames: tuple[int, ...]


def make_plate(out: str | Path, size: tuple[int, int] = (960, 540), seed: int = 0) -> Shot:
    """Draw the plate and its mask into a folder, which is created.

    Args:
        out: Folder.
        size: Width and height in pixels, wider than high; from 160 x 90.
        seed: Other grain.
    """
    from sfumato.io import write_image

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    plate, mask = draw(size, seed)
    window = Window(0, 0, *size)
    for name, pixels, channels, space in (
        ("plate", plate, ("R", "G", "B"), SPACE),
        ("mask", mask, ("A",), None),
    ):
        picture = Plate(pixels.contiguous(), channels, space, window, window)
        write_image(folder / f"{name}.{FIRST}.exr", picture)
    return Shot(str(folder / "plate.####.exr"), str(folder / "mask.####.exr"), (FIRST,))


def draw(size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """The plate (3, H, W), linear Rec.709 light, and a soft mask (1, H, W) round its ball.

    In it is what plates hold and models never see: a lamp far above white, light below zero, a dead pixel.
    """
    width, height = size
    (square,), _ = render([_SCENE], width, grain=0.0)
    top = (width - height) // 2
    light = Display().decode(square[:, top : top + height])
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")

    def distance(cx: float, cy: float) -> Tensor:
        return ((x - cx * width) ** 2 + (y - cy * width + top) ** 2).sqrt() / width

    near = distance(0.93, 0.30)
    lamp = torch.tensor([1.0, 0.83, 0.6]).view(3, 1, 1)
    light = light + LAMP * lamp * ((0.022 - near) / 0.004).clamp(0, 1) + 0.4 * lamp * torch.exp(-near / 0.025)
    light = grain(light, np.random.default_rng([seed, 4]), read=0.006, shot=0.0004)
    light[:, -height // 12 :, : width // 12] -= 0.05  # a matte painter's negative corner
    light[:, height // 20, width // 20] = float("nan")
    mask = ((_BALL.size / 2 * 1.25 - distance(_BALL.x, _BALL.y)) / 0.012).clamp(0, 1)
    return light, mask[None]
