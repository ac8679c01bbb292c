"""What the solve of a whole clip is told, and what it answers."""

from dataclasses import dataclass

from torch import Tensor

from sfumato.face.curves import Curves
from sfumato.face.motion import Habits


@dataclass(frozen=True)
class ClipSettings:
    """noise: Of a marker, an axis, centimetres. robust: Residuals beyond so many times that count linearly; beyond
    `wild` times they hardly count.

    smooth, calm: Of the controls' second differences, see `Motion`. steady, still: weight of the drift's, and of the
    drift itself, in cm^-2 (of turns, at LEVER cm from the middle); those of differences for 60 samples a second.
    offsets: Look for where markers sit, see `Placing`; None: where residuals stay the same all through the take, as on
    another day. rigid: Look for drift.
    rest: Weight that pulls controls to 0 where the markers do not say anything. rounds: Steps of Gauss-Newton, at most;
    settled: no control moves further than that in the last one. learn: Learn how controls accelerate together.
    """

    noise: float = 0.03
    robust: float = 4.0
    wild: float = 5.0
    smooth: float = 11_000.0
    calm: float = 0.006
    steady: float = 1e8
    still: float = 300.0
    offsets: bool | None = None
    rigid: bool = True
    rest: float = 1.0
    rounds: int = 22
    settled: float = 1e-4
    learn: bool = True


@dataclass(frozen=True)
class Prior:
    """What a trained solver expects: values (F, K), and how much each is believed (F, K), in the units of `smooth`."""

    values: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Known:
    """What the whole has told already, where a part of it is solved; None: it is looked for.

    rigid: (F, 6) drift of the part's frames. offsets: (M, 3) cm. habits: How its controls accelerate.
    """

    rigid: Tensor | None = None
    offsets: Tensor | None = None
    habits: Habits | None = None


@dataclass(frozen=True)
class Solved:
    """curves: On the markers' frames. rigid: (F, 6) drift: turn in radians, shift in cm. offsets: (M, 3) cm.

    residual: (F, M) cm, NaN unseen. weight: (F, M) how much each sample was believed in the end, 0..1.
    habits: What was learned of how controls accelerate; None: the clip was too short, or was not to be asked.
    """

    curves: Curves
    rigid: Tensor
    offsets: Tensor
    residual: Tensor
    weight: Tensor
    habits: Habits | None = None
