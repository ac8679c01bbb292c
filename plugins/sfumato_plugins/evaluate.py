"""How far a matte is from the truth: `sfumato evaluate matte`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import JobError, Problem
from sfumato_plugins.frames import Pattern, format_frames, parse_frames

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.plate import Plate


def evaluate_matte(alpha: str, truth: str, trimap: str, frames: str | None = None) -> dict[str, Any]:
    """Errors of a still or a shot over the trimap's unknown region, in the units of the published tables.

    Args:
        alpha, truth, trimap: Files or sequences. The alpha is A, or the only channel.
        frames: Default: every frame of the alpha.

    Returns:
        sad, grad, conn, messddt (thousands), mse (x 1e3), dtssd (x 100, whole frame; None for a still), frames.
    """
    from sfumato.matte.metrics import score

    patterns = {"alpha": Pattern(alpha), "truth": Pattern(truth), "trimap": Pattern(trimap)}
    wanted = parse_frames(frames) if frames else patterns["alpha"].on_disk()
    if not wanted:
        raise JobError(Problem("--alpha", "not one file is there", f"looked for  {patterns['alpha'].text}", 3))
    problems = []
    for name, pattern in patterns.items():
        lost = pattern.missing(wanted)
        if lost:
            hint = f"looked for  {pattern.at(lost[0])}\nfound       {format_frames(pattern.on_disk()) or 'nothing'}"
            problems.append(Problem(f"--{name}", f"no frame {format_frames(lost)}", hint, 3))
    if problems:
        raise JobError(problems)
    read = [_read(*(os.path.abspath(p.at(f)) for p in patterns.values())) for f in wanted]
    scores = score([r[0] for r in read], [r[1] for r in read], [r[2] for r in read])
    return {**asdict(scores), "frames": len(wanted)}


def _read(alpha: str, truth: str, trimap: str) -> tuple[Tensor, Tensor, Tensor]:
    from sfumato.errors import RequestError
    from sfumato.io import read_image
    from sfumato.matte.trimap import classify
    from sfumato_plugins.plates import onto

    solved, true, painted = read_image(alpha), read_image(truth), read_image(trimap)
    if (true.display.width, true.display.height) != (solved.display.width, solved.display.height):
        what = f"{truth} is {true.display.width} x {true.display.height}, "
        what += f"{alpha} is {solved.display.width} x {solved.display.height}"
        raise RequestError(what, "compare pictures of one size")
    for path, picture in ((alpha, solved), (truth, true)):
        if "A" not in picture.channels and _coloured(picture):
            raise RequestError(f"{path} is a colour picture without alpha", "give a file with A, or a grey picture")
    return solved.matte(), onto(true, solved.data).matte(), classify(onto(painted, solved.data).matte())


def _coloured(picture: Plate) -> bool:
    if not {"R", "G", "B"} <= set(picture.channels):
        return False
    rgb = picture.rgb()
    return bool((rgb.amax(0) - rgb.amin(0) > 1 / 128).any())
