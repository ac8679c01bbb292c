"""Clips composited in light with exact truth: NAME/plate.####.exr, gt_premult.####.exr, trimap.####.png."""

from __future__ import annotations

from functools import partial

from sfumato_plugins.benches.cases import Case, Frame, Path


def find_clips(folder: Path) -> list[Case]:
    """The clips under a folder, by name; frames are those that have all three files."""
    found = []
    for clip in sorted(path for path in folder.iterdir() if path.is_dir()):
        plates = {path.name.split(".")[-2] for path in clip.glob("plate.*.exr")}
        digits = sorted(
            d for d in plates if d.isdigit() and _files(clip, d)[1].is_file() and _files(clip, d)[2].is_file()
        )
        if digits:
            padding = {int(d): d for d in digits}
            found.append(Case(clip.name, 1, tuple(padding), True, partial(_load, clip, padding)))
    return found


def _files(clip: Path, digits: str) -> tuple[Path, Path, Path]:
    return clip / f"plate.{digits}.exr", clip / f"gt_premult.{digits}.exr", clip / f"trimap.{digits}.png"


def _load(clip: Path, padding: dict[int, str], number: int) -> Frame:
    """One frame at native resolution, unclipped; the truth is A of gt_premult."""
    import torch

    from sfumato.io import read_image

    plate, layer, painted = (read_image(path) for path in _files(clip, padding[number]))
    window = plate.data
    layer, values = layer.on(window), painted.on(window).matte()
    trimap = torch.full_like(values, 0.5)
    trimap[values > 0.98] = 1
    trimap[values < 0.02] = 0
    return Frame(plate.rgb().contiguous(), layer.channel("A").clamp(0, 1), trimap, layer.rgb().contiguous())
