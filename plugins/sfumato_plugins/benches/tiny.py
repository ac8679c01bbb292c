"""A shot of one small frame, for benches that measure what lies around a matte."""

from __future__ import annotations

import os
from typing import Any


def tiny_job(folder: str, size: int = 96, quality: str = "standard") -> dict[str, Any]:
    """Write a plate and a trimap of a soft disc, size x size, and give a job for them as JSON values, on the CPU."""
    import torch

    from sfumato.io import write_image
    from sfumato.plate import Plate, Window

    os.makedirs(folder, exist_ok=True)
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    distance = ((x - size / 2) ** 2 + (y - size / 2) ** 2).sqrt() / size
    alpha = ((0.35 - distance) / 0.1).clamp(0, 1)[None]
    plate = alpha * torch.tensor([2.0, 0.5, 0.2])[:, None, None] + (1 - alpha) * (0.2 + 0.3 * x / size)
    trimap = torch.where(alpha >= 1, 1.0, torch.where(alpha <= 0, 0.0, 0.5))
    window = Window(0, 0, size, size)
    for name, pixels, channels in (("plate", plate, ("R", "G", "B")), ("trimap", trimap, ("Y",))):
        image = Plate(pixels.contiguous(), channels, space=None, data=window, display=window)
        write_image(os.path.join(folder, f"{name}.0001.exr"), image)
    return {
        "schema": "sfumato.job/1",
        "tool": "matte",
        "frames": "1",
        "inputs": {name: os.path.join(folder, f"{name}.####.exr") for name in ("plate", "trimap")},
        "outputs": {"matte": os.path.join(folder, "out", "M.####.exr")},
        "params": {"quality": quality, "device": "cpu"},
    }
