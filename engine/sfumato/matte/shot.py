"""A shot: keyframes first, then the frames between them, each from its keyframes and with its neighbours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from sfumato.matte.displacement import estimate_motion
from sfumato.matte.settings import MatteSettings
from sfumato.matte.solve import FrameInput, Matte, as_seen, solve_among
from sfumato.report import Report, Step, silent

__all__ = ["FrameInput", "Store", "solve_shot"]

KEPT = 8  # frames and motions held in memory


class Store(Protocol):
    """Where states are kept between runs. `get` answers None for what it does not hold."""

    def get(self, name: str) -> Mapping[str, Tensor] | None: ...

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
        settings: See `preset`.
        seed: Of the prior, the same for every frame.
        report: Who is told; may raise `Cancelled`.
        radius: How many frames away a neighbour may count; `settings.neighbours` if that is less.
        store: Keeps keyframe states, so that other runs need not make them again.
        device: Where to compute; None is where the images are.

    Yields:
        Frame number and matte, keyframes first. A frame depends on `frames`, `keys`, and the inputs of the frames
        within `radius` of it and of the keyframes around it; never on `wanted`.
    """
    radius = min(radius, settings.neighbours)
    shot = _Shot(list(frames), sorted(keys), load, settings, seed, report, radius, store, device)
    asked = set(wanted)
    for frame in [*(k for k in shot.keys if k in asked), *(f for f in shot.frames if f in asked - set(shot.keys))]:
        yield frame, shot.solve(frame)


class _Shot:
    """The frames of a shot, and what is remembered between them."""

    def __init__(
        self,
        frames: list[int],
        keys: list[int],
        load: Callable[[int], FrameInput],
        settings: MatteSettings,
        seed: int,
        report: Report,
        radius: int,
        store: Store | None,
        device: torch.device | None,
    ) -> None:
        self.frames, self.keys, self._load, self.settings = frames, keys, load, settings
        self.seed, self.report, self.radius, self.store, self.device = seed, report, radius, store, device
        self._inputs: dict[int, FrameInput] = {}
        self._motion: dict[int, tuple[Tensor, Tensor]] = {}
        self._states: dict[int, dict[str, Tensor]] = {}

    def solve(self, frame: int) -> Matte:
        """One frame: a keyframe from nothing, another from the state of the nearer keyframe, the earlier if equal."""
        is_key = frame in self.keys
        warm = None
        if self.settings.prior and not is_key:
            nearer = min(self.keys, key=lambda k: (abs(k - frame), k))
            warm = self._state(nearer)
        matte = self._solve(frame, warm)
        if is_key and matte.state:
            self._remember(frame, matte.state)
        return matte

    def _state(self, key: int) -> dict[str, Tensor]:
        """A keyframe's state: from memory, from the store, or made."""
        if key not in self._states:
            kept = self.store.get(f"key-{key}") if self.store else None
            if kept is None:
                self._remember(key, self._solve(key, None).state)
            else:
                self._states[key] = dict(kept)
        return self._states[key]

    def _remember(self, key: int, state: dict[str, Tensor]) -> None:
        self._states[key] = state
        if self.store:
            self.store.put(f"key-{key}", state)

    def _solve(self, frame: int, warm: dict[str, Tensor] | None) -> Matte:
        at = self.frames.index(frame)
        near = [
            f for f in self.frames[max(0, at - self.radius) : at + self.radius + 1] if abs(f - frame) <= self.radius
        ]
        inputs = [self.input(f) for f in near]
        if any(i.image.shape != inputs[near.index(frame)].image.shape for i in inputs):
            near, inputs = [frame], [self.input(frame)]  # a change of size is a cut
        motion = [self.motion(a, b) for a, b in pairwise(near)]
        return solve_among(
            inputs,
            near.index(frame),
            self.settings,
            torch.Generator().manual_seed(self.seed),
            lambda step: self.report(replace(step, frame=frame)),
            motion=motion,
            warm=warm or None,
            checkpoint=_Flight(self.store, f"flight-{frame}") if self.store else None,
            device=self.device,
        )

    def input(self, frame: int) -> FrameInput:
        if frame not in self._inputs:
            _forget(self._inputs)
            self._inputs[frame] = self._load(frame)
        return self._inputs[frame]

    def motion(self, before: int, after: int) -> tuple[Tensor, Tensor]:
        """Motion from a frame to the next of the shot, and back."""
        if before not in self._motion:
            _forget(self._motion)
            self.report(Step("motion", 0, 1, frame=before))
            a, b = (i.image if i.coded else as_seen(i.image) for i in (self.input(before), self.input(after)))
            self._motion[before] = estimate_motion(a, b), estimate_motion(b, a)
        return self._motion[before]


class _Flight:
    """The fit of one frame in a store. The frame and how it began decide the name: nothing else can differ."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def get(self) -> Mapping[str, Tensor] | None:
        return self._store.get(self._name)

    def put(self, state: dict[str, Tensor]) -> None:
        self._store.put(self._name, state)


def _forget(kept: dict[int, FrameInput] | dict[int, tuple[Tensor, Tensor]]) -> None:
    """Make room for one more, the oldest going first."""
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)))
