"""A shot: keyframes first, then the frames between them, each from both of its keyframes and its neighbours."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfumato.matte.settings import MatteSettings
from sfumato.matte.solve import Matte, solve_matte
from sfumato.report import Report, silent


@dataclass(frozen=True)
class FrameInput:
    """image (3, H, W), trimap (1, H, W) of 0, 0.5, 1, and the clean plate (3, H, W) where there is one."""

    image: Tensor
    trimap: Tensor
    clean_plate: Tensor | None = None


class Store(Protocol):
    """Where states are kept between runs. `get` answers None for what it does not hold."""

    def get(self, name: str) -> dict[str, Tensor] | None: ...

    def put(self, name: str, tensors: dict[str, Tensor]) -> None: ...


def solve_shot(
    wanted: Sequence[int],
    frames: Sequence[int],
    keys: Sequence[int],
    load: Callable[[int], FrameInput],
    settings: MatteSettings,
    seed: int = 0,
    report: Report = silent,
    *,
    radius: int = 2,
    store: Store | None = None,
    device: torch.device | None = None,
) -> Iterator[tuple[int, Matte]]:
    """Solve the wanted frames of a shot, keyframes first.

    Args:
        wanted: Frames to give back, a part of `frames`.
        frames: Every frame of the job, ascending.
        keys: Its keyframes, ascending, the first and the last frame among them.
        load: Reads one frame's inputs.
        radius: How many frames away a neighbour still counts.
        store: Keeps keyframe states, so that other runs need not make them again.

    Yields:
        Frame number and matte, in the order they are solved. A frame depends on `frames`, `keys`, and the inputs of
        the frames within `radius` of it and of its keyframes; never on `wanted`.
    """
    for frame in wanted:
        inputs = load(frame)
        generator = torch.Generator().manual_seed(seed)
        yield (
            frame,
            solve_matte(
                inputs.image, inputs.trimap, settings, generator, report, clean_plate=inputs.clean_plate
            ),
        )
