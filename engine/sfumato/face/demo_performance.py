"""A performance of the demo head, made by formulas, and the markers a day of capture would have recorded of it."""

import math

import torch
from torch import Generator, Tensor

from sfumato.face.binding import Binding
from sfumato.face.curves import Curves
from sfumato.face.demo_rig import demo_markers
from sfumato.face.markers import Markers
from sfumato.face.rig import NativeRig, rotation

FPS = 60.0
NOISE, WILD = 0.03, 0.6  # centimetres an axis; a wild sample
PHRASES = (  # what comes and goes together, how strongly, how often a minute
    (("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"), 0.75, 6),
    (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.7, 7),
    (("browDownLeft", "browDownRight", "noseSneerLeft", "noseSneerRight"), 0.6, 5),
    (("mouthFrownLeft", "mouthFrownRight", "mouthShrugLower"), 0.5, 4),
    (("mouthLeft",), 0.4, 3),
    (("mouthRight", "jawRight"), 0.4, 3),
    (("jawLeft",), 0.4, 3),
    (("jawForward",), 0.4, 2),
    (("eyeSquintLeft", "eyeSquintRight"), 0.6, 5),
    (("eyeWideLeft", "eyeWideRight"), 0.5, 4),
    (("cheekPuff",), 0.6, 2),
    (("mouthDimpleLeft",), 0.4, 3),
    (("mouthDimpleRight",), 0.4, 3),
)
SYLLABLES = (  # shapes of the mouth while it speaks
    {"jawOpen": 0.55, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2},
    {"jawOpen": 0.3, "mouthFunnel": 0.6},
    {"jawOpen": 0.18, "mouthPucker": 0.7},
    {"jawOpen": 0.3, "mouthStretchLeft": 0.45, "mouthStretchRight": 0.45},
    {"jawOpen": 0.22, "mouthClose": 0.7, "mouthPressLeft": 0.4, "mouthPressRight": 0.4},
    {"jawOpen": 0.12, "mouthRollLower": 0.5, "mouthRollUpper": 0.3},
    {"jawOpen": 0.4, "mouthLowerDownLeft": 0.4, "mouthLowerDownRight": 0.4},
)


def demo_performance(
    rig: NativeRig, seed: int = 0, frames: int = 480, start: float = 1001.0
) -> tuple[Curves, Markers, Binding]:
    """A take of the demo rig: what it truly did, what was recorded of it, and where the markers sit on the rig.

    Recorded: the head moves; noise of 0.3 mm an axis; a tenth of the samples is missing in bursts, a lip corner for
    half a second; 3 in 1,000 are wild by 6 mm; every marker sits up to a millimetre from its place on the rig.
    """
    g = torch.Generator().manual_seed(seed)
    values = _spoken(rig, frames, g) + _phrases(rig, frames, g) + _blinks(rig, frames, g)
    values = torch.minimum(torch.maximum(values, rig.lower), rig.upper)
    truth = Curves(rig.controls, tuple(start + i for i in range(frames)), values, FPS)
    binding = demo_markers(rig)
    placed = 0.05 * torch.randn(len(binding.names), 3, generator=g, dtype=torch.float64)
    still = binding.at(rig, values) + placed
    positions = _occluded(_head(still, g) + _noise(still.shape, g), binding, g)
    return truth, Markers(binding.names, positions, FPS, start, "10:00:00:00"), binding


def _spoken(rig: NativeRig, frames: int, g: Generator) -> Tensor:
    """Syllables, four a second, with pauses."""
    found = torch.zeros(frames, len(rig.controls), dtype=torch.float64)
    at, time = 20.0, torch.arange(frames, dtype=torch.float64)
    while at < frames:
        shape = SYLLABLES[int(torch.randint(len(SYLLABLES), (1,), generator=g))]
        loud = 0.6 + 0.5 * float(torch.rand(1, generator=g))
        bell = torch.exp(-(((time - at) / 6.0) ** 2))
        for name, value in shape.items():
            found[:, rig.controls.index(name)] += loud * value * bell
        at += 12 + 5 * float(torch.rand(1, generator=g)) + (60 if float(torch.rand(1, generator=g)) < 0.1 else 0)
    return found


def _phrases(rig: NativeRig, frames: int, g: Generator) -> Tensor:
    """Expressions that come, stay and go."""
    found = torch.zeros(frames, len(rig.controls), dtype=torch.float64)
    time = torch.arange(frames, dtype=torch.float64)
    for names, strong, often in PHRASES:
        for _ in range(max(1, round(often * frames / FPS / 60 * 2.0))):
            middle, half = frames * float(torch.rand(1, generator=g)), 14 + 30 * float(torch.rand(1, generator=g))
            shape = torch.sigmoid((time - middle + half) / 4) * torch.sigmoid((middle + half - time) / 4)
            for name in names:
                uneven = strong * (0.7 + 0.4 * float(torch.rand(1, generator=g)))
                found[:, rig.controls.index(name)] += uneven * shape
    return found


def _blinks(rig: NativeRig, frames: int, g: Generator) -> Tensor:
    """A blink every two seconds or so, and eyes that wander."""
    found = torch.zeros(frames, len(rig.controls), dtype=torch.float64)
    time, at = torch.arange(frames, dtype=torch.float64), 30.0
    while at < frames:
        bell = torch.exp(-(((time - at).abs() / 4.0) ** 3))
        for side in ("Left", "Right"):
            found[:, rig.controls.index(f"eyeBlink{side}")] += bell
        at += 70 + 100 * float(torch.rand(1, generator=g))
    down = 0.25 + 0.25 * torch.sin(time / 47 + 6 * float(torch.rand(1, generator=g)))
    for side in ("Left", "Right"):
        found[:, rig.controls.index(f"eyeLookDown{side}")] += down
    return found


def _head(points: Tensor, g: Generator) -> Tensor:
    """The head nods, turns and leans by some degrees and centimetres."""
    time = torch.arange(len(points), dtype=torch.float64)[:, None]
    phase = 6.28 * torch.rand(6, generator=g, dtype=torch.float64)
    slow = torch.tensor([71.0, 113.0, 157.0, 97.0, 131.0, 173.0], dtype=torch.float64)
    sway = torch.sin(time / slow * 2 + phase)
    turn = rotation(sway[:, :3] * torch.tensor([0.12, 0.18, 0.05], dtype=torch.float64))
    return points @ turn.transpose(1, 2) + (sway[:, 3:] * 1.5)[:, None]


def _noise(shape: torch.Size, g: Generator) -> Tensor:
    found = NOISE * torch.randn(shape, generator=g, dtype=torch.float64)
    wild = torch.rand(shape[:2], generator=g) < 0.003
    return found + WILD * wild[..., None] * torch.randn(shape, generator=g, dtype=torch.float64) / math.sqrt(3)


def _occluded(positions: Tensor, binding: Binding, g: Generator) -> Tensor:
    """A tenth missing in bursts of 5 to 40 samples; the lip corner gone for half a second in the middle."""
    frames, count = positions.shape[:2]
    found = positions.clone()
    for _ in range(round(0.1 * frames * count / 22)):
        marker = int(torch.randint(count, (1,), generator=g))
        first, long = int(torch.randint(frames, (1,), generator=g)), 5 + int(torch.randint(36, (1,), generator=g))
        found[first : first + long, marker] = math.nan
    found[frames // 2 : frames // 2 + 30, 6] = math.nan
    return found
