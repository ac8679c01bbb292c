"""Photographs laid out like the training set of alphamatting.com: image/ alpha/ trimap1/ trimap2/."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sfumato_plugins.benches.cases import Case, Frame, Path

if TYPE_CHECKING:
    from torch import Tensor


def find_stills(folder: Path, long: int = 512, trimap: int = 1) -> list[Case]:
    """The photographs in a folder, by name. Empty where the folder is not laid out so."""
    if not all((folder / part).is_dir() for part in ("image", "alpha", f"trimap{trimap}")):
        return []
    names = sorted(path.stem for path in (folder / "image").glob("*.png"))
    complete = [
        n for n in names if all((folder / part / f"{n}.png").is_file() for part in ("alpha", f"trimap{trimap}"))
    ]
    return [Case(name, trimap, (1,), False, partial(_load, folder, name, long, trimap)) for name in complete]


def _load(folder: Path, name: str, long: int, trimap: int, number: int) -> Frame:
    return read_still(folder, name, long, trimap)


def read_still(folder: Path, name: str, long: int = 512, trimap: int = 1) -> Frame:
    """One photograph, reduced to `long` pixels on its long side by an area filter; never enlarged.

    A trimap pixel stays known only if its whole footprint is known: reducing by the nearest pixel would call mixed
    pixels known.
    """
    import torch

    image = _read(folder / "image" / f"{name}.png")[:3]
    truth = _read(folder / "alpha" / f"{name}.png")[:1]
    painted = _read(folder / f"trimap{trimap}" / f"{name}.png")[:1]
    height, width = truth.shape[-2:]
    scale = min(1.0, long / max(height, width))
    size = round(height * scale), round(width * scale)
    known = torch.full((1, *size), 0.5)
    known[reduce_area((painted > 0.9).float(), size) > 1 - 1e-5] = 1
    known[reduce_area((painted < 0.1).float(), size) > 1 - 1e-5] = 0
    return Frame(reduce_area(image, size).clamp(0, 1), reduce_area(truth, size).clamp(0, 1), known)


def _read(path: Path) -> Tensor:
    from sfumato.io import read_image

    return read_image(path).pixels


def reduce_area(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Area-filtered reduction of (C, H, W) to (C, *size): each new pixel is the mean over its exact footprint."""
    import torch

    def weights(before: int, after: int) -> Tensor:
        edges = torch.arange(after + 1, dtype=torch.float64) * (before / after)
        pixel = torch.arange(before, dtype=torch.float64)
        overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
        return overlap.clamp_min(0) * (after / before)

    return (weights(x.shape[1], size[0]) @ x.double() @ weights(x.shape[2], size[1]).T).float()
