"""A clip that plays anywhere: a GIF, and an MP4 where ffmpeg is found. Needs the engine, inside functions only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 600  # seconds that ffmpeg may take


def write_clips(stem: str, pictures: Sequence[Tensor], rate: float) -> list[str]:
    """Write STEM.gif, and STEM.mp4 where ffmpeg is found, each whole or not at all.

    Args:
        stem: Without an ending.
        pictures: (3, H, W) each, display-referred 0..1, of one size.
        rate: Frames a second; a GIF's are whole hundredths of a second long.

    Raises:
        sfumato.errors.RequestError: ffmpeg fails, or the disk does.
    """
    with tempfile.TemporaryDirectory(prefix="sfumato-") as folder:  # mode 0700
        written = [_publish(_gif(os.path.join(folder, "clip.gif"), pictures, rate), f"{stem}.gif")]
        if program := shutil.which("ffmpeg"):
            written.append(_publish(_mp4(program, folder, pictures, rate), f"{stem}.mp4"))
    return written


def _gif(path: str, pictures: Sequence[Tensor], rate: float) -> str:
    import numpy as np
    import OpenImageIO as oiio  # noqa: N813

    from sfumato.errors import RequestError

    spec = oiio.ImageSpec(pictures[0].shape[2], pictures[0].shape[1], 3, oiio.UINT8)
    spec.attribute("oiio:Movie", 1)
    spec.attribute("FramesPerSecond", oiio.TypeDesc("rational"), (max(1, round(rate)), 1))
    out = oiio.ImageOutput.create(path)
    assert out is not None, "OpenImageIO always has its GIF writer"
    well = out.open(path, (spec,) * len(pictures))
    for number, picture in enumerate(pictures):
        if number:
            well = well and out.open(path, spec, "AppendSubimage")
        bytes_of = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        well = well and out.write_image(np.ascontiguousarray(bytes_of))
    error = out.geterror()
    if not (out.close() and well):
        raise RequestError(f"no GIF can be made: {error}", "is there room for temporary files?")
    return path


def _mp4(program: str, folder: str, pictures: Sequence[Tensor], rate: float) -> str:
    from torch.nn import functional

    from sfumato.errors import RequestError
    from sfumato.matte.sheet import encoded

    for number, picture in enumerate(pictures):
        height, width = picture.shape[-2:]
        even = functional.pad(picture[None], (0, width % 2, 0, height % 2), mode="replicate")[0]  # as yuv420p wants
        with open(os.path.join(folder, f"{number:05d}.png"), "wb") as file:
            file.write(encoded(even))
    path = os.path.join(folder, "clip.mp4")
    meant = "scale=out_color_matrix=bt709:out_range=tv"  # players guess the matrix of a file that says none
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1", "-color_range", "tv"]
    command = [program, "-v", "error", "-framerate", f"{rate:g}", "-i", os.path.join(folder, "%05d.png"), "-vf", meant,
               "-pix_fmt", "yuv420p", *tags, path]  # fmt: skip
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or error
        raise RequestError(f"ffmpeg made no MP4: {said}", f"look at {program}, or take it off the path") from error
    return path


def _publish(path: str, target: str) -> str:
    from sfumato.atomic import write_bytes

    with open(path, "rb") as file:
        write_bytes(target, file.read())
    return target
