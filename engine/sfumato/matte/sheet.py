"""Pictures for people as files in memory: PNG and JPEG, text burnt in, contact sheets."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import torch
from torch import Tensor
from torch.nn import functional

from sfumato.io import write_image
from sfumato.plate import Plate, Window

PAPER, INK, QUIET = (0.105, 0.105, 0.105), (0.86, 0.86, 0.86), (0.55, 0.55, 0.55)
FONT = "DroidSans"  # comes inside OpenImageIO


def encoded(picture: Tensor, extension: str = ".png", quality: int = 90) -> bytes:
    """A display-coded picture (3, H, W) 0..1 as the bytes of a PNG or JPEG file."""
    window = Window(0, 0, picture.shape[2], picture.shape[1])
    plate = Plate(picture.detach().cpu().float().contiguous(), ("R", "G", "B"), None, window, window, coded=True)
    extra = {"Compression": f"jpeg:{quality}"} if extension == ".jpg" else {}
    with tempfile.TemporaryDirectory(prefix="sfumato-") as folder:  # mode 0700, removed on the way out
        path = Path(folder) / f"picture{extension}"
        write_image(path, plate, metadata=extra)
        return path.read_bytes()


@dataclass(frozen=True)
class Words:
    """A line of text: left end and baseline in pixels, height of the letters."""

    left: int
    base: int
    text: str
    size: int
    ink: tuple[float, float, float] = INK


def burnt(picture: Tensor, lines: Sequence[Words]) -> Tensor:
    """The picture (3, H, W) with text on it. Where there is no font it comes back as it is: the page and the file's
    name say the same."""
    canvas = oiio.ImageBuf(np.ascontiguousarray(picture.detach().cpu().float().permute(1, 2, 0).numpy()))
    for line in lines:
        if not oiio.ImageBufAlgo.render_text(canvas, line.left, line.base, line.text, line.size, FONT, line.ink):
            canvas.geterror()
    return torch.from_numpy(np.ascontiguousarray(canvas.get_pixels(oiio.FLOAT))).permute(2, 0, 1)


def fitted(picture: Tensor, width: int, height: int) -> Tensor:
    """(3, H, W) scaled to fit a box, centred on paper."""
    scale = min(width / picture.shape[2], height / picture.shape[1])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[2] * scale))
    mode = "area" if scale < 1 else "nearest"
    small = functional.interpolate(picture[None].float(), size=size, mode=mode)[0]
    box = paper(width, height)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    box[:, top : top + size[0], left : left + size[1]] = small
    return box


def paper(width: int, height: int) -> Tensor:
    """An empty sheet, (3, H, W)."""
    return torch.tensor(PAPER).view(3, 1, 1).expand(3, height, width).clone()


def contact_sheet(tiles: Sequence[tuple[str, Tensor]], burn: str, columns: int = 3, width: int = 480) -> Tensor:
    """Labelled pictures in a grid, with the burn-in line on top.

    Args:
        tiles: Label and picture (3, H, W) 0..1, all of one shape or not; the first one sets the proportions.
        burn: Shot, version, frame, tool and preset.
    """
    height = max(1, round(width * tiles[0][1].shape[1] / tiles[0][1].shape[2]))
    gap, foot, head = 12, 26, 44
    rows = -(-len(tiles) // columns)
    columns = min(columns, len(tiles))
    sheet = paper(columns * (width + gap) + gap, head + rows * (height + foot + gap))
    lines = [Words(gap, 29, burn, 18)]
    for i, (label, picture) in enumerate(tiles):
        left, top = gap + (i % columns) * (width + gap), head + (i // columns) * (height + foot + gap)
        sheet[:, top : top + height, left : left + width] = fitted(picture, width, height)
        lines.append(Words(left, top + height + 18, label, 14, QUIET))
    return burnt(sheet, lines)
