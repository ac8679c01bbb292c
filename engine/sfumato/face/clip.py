"""A whole clip at once: controls, rigid drift and marker offsets that explain the markers best, robustly and smoothly.

    minimise  sum_fm c_fm huber(|R_f (p_m(w_f) + o_m) + t_f - x_fm| / s)
            + smooth sum |w''|^2 + steady sum |r''|^2 + still sum |r|^2 + ridge sum |o|^2 / s^2
            + sum g_fk (w - w0)^2
    within    lower <= w <= upper,  w = key where an artist has locked one.

Reweighted Gauss-Newton; every step is one banded system over all frames (Newton's step projected onto the box).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.binding import Binding, jacobian
from sfumato.face.curves import Curves
from sfumato.face.markers import Markers
from sfumato.face.rig import NativeRig, Rig, rotation
from sfumato.report import Report, Step, silent


@dataclass(frozen=True)
class ClipSettings:
    """noise: Of a marker, an axis, centimetres. robust: residuals beyond so many times that count linearly.

    smooth: Weight of the controls' second differences. steady, still: of the drift's, and of the drift itself.
    offsets: Expected size of a marker's offset, cm; 0: none are looked for. rigid: Look for drift.
    rest: Weight that pulls controls to 0 where the markers do not say anything. rounds: Steps of Gauss-Newton, at most;
    settled: no control moves further than that in the last one.
    """

    noise: float = 0.03
    robust: float = 2.0
    smooth: float = 9000.0
    steady: float = 3e5
    still: float = 30.0
    offsets: float = 0.05
    rigid: bool = True
    rest: float = 1.0
    rounds: int = 12
    settled: float = 1e-4


@dataclass(frozen=True)
class Prior:
    """What a trained solver expects: values (F, K), and how much each is believed (F, K), in the units of `smooth`."""

    values: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Solved:
    """curves: On the markers' frames. rigid: (F, 6) drift: turn in radians, shift in cm. offsets: (M, 3) cm.

    residual: (F, M) cm, NaN unseen. weight: (F, M) how much each sample was believed in the end, 0..1.
    """

    curves: Curves
    rigid: Tensor
    offsets: Tensor
    residual: Tensor
    weight: Tensor


def solve_clip(
    markers: Markers,
    rig: Rig,
    binding: Binding,
    settings: ClipSettings | None = None,
    report: Report = silent,
    start: Curves | None = None,
    prior: Prior | None = None,
    confidence: Tensor | None = None,
    free: Tensor | None = None,
    known: tuple[Tensor, Tensor] | None = None,
) -> Solved:
    """Solve a take whose head stands still but for a small drift.

    Args:
        markers: Stabilised, in the rig's space. binding: Of at least the markers that count.
        start: Where to begin; its locked keys are never changed.
        confidence: (F, M) 0..1, of the binding's markers; default: 1 where seen.
        free: (F, K) bool, what may change at all; default: everything that is not locked.
        known: Drift (F, 6) and offsets (M, 3) that are kept as they are; default: both are looked for.

    Raises:
        InputError: none of the binding's markers is in the take.
        sfumato.errors.Cancelled: by `report`.
    """
    return _Clip(markers, rig, binding, settings or ClipSettings(), start, prior, confidence, free, known).solve(report)


class _Clip:
    def __init__(
        self,
        markers: Markers,
        rig: Rig,
        binding: Binding,
        settings: ClipSettings,
        start: Curves | None,
        prior: Prior | None,
        confidence: Tensor | None,
        free: Tensor | None,
        known: tuple[Tensor, Tensor] | None,
    ) -> None:
        names = [name for name in binding.names if name in markers.names]
        if not names:
            what = f"no marker of the take sits on the rig ({', '.join(markers.names[:3])} ...)"
            raise InputError(what, f"the rig knows {', '.join(binding.names[:3])} ...; rename, or give a binding")
        self.markers = markers.only(binding.names, unseen=True)
        self.rig, self.binding, self.settings, self.prior = rig, binding, settings, prior
        frames, count = len(self.markers.positions), len(rig.controls)
        self.observed = self.markers.positions
        self.sure = self.markers.seen.double() if confidence is None else confidence * self.markers.seen
        self.values = torch.zeros(frames, count, dtype=torch.float64)
        self.locked = torch.zeros(frames, count, dtype=torch.bool)
        self.keys: frozenset[tuple[float, str]] = frozenset()
        if start is not None:
            given = start.only(rig.controls)
            self.values, self.locked, self.keys = given.values.clone(), given.lock_mask(), given.locked
        self.held = self.locked if free is None else self.locked | ~free
        self.rigid = torch.zeros(frames, 6, dtype=torch.float64)
        self.offsets = torch.zeros(len(binding.names), 3, dtype=torch.float64)
        if known is not None:
            self.rigid, self.offsets = known[0].clone(), known[1].clone()
            self.settings = replace(settings, rigid=False, offsets=0.0)

    def solve(self, report: Report) -> Solved:
        before = torch.full_like(self.values, torch.inf)
        for step in range(self.settings.rounds):
            report(Step("whole clip", step, self.settings.rounds))
            self._step()
            moved = float((self.values - before).abs().max()) if step else 1.0
            if moved < self.settings.settled:
                break
            before = self.values.clone()
        report(Step("whole clip", 1, 1))
        apart, _ = self._apart()
        size = apart.norm(dim=-1)
        size[~self.markers.seen] = torch.nan
        curves = Curves(self.rig.controls, self.markers.frames, self.values, self.markers.timeline_fps, self.keys)
        return Solved(curves, self.rigid, self.offsets, size, self._weights(size.nan_to_num(0.0)))

    def _apart(self) -> tuple[Tensor, Tensor]:
        """Markers less where the rig puts them (F, M, 3), 0 where unseen; and the rig's places before the drift."""
        places = self.binding.at(self.rig, self.values) + self.offsets
        turn = rotation(self.rigid[:, :3])
        put = places @ turn.transpose(1, 2) + self.rigid[:, None, 3:]
        return (self.observed - put).nan_to_num(0.0), places

    def _weights(self, size: Tensor) -> Tensor:
        edge = self.settings.robust * self.settings.noise
        return self.sure * (edge / size.clamp(min=1e-12)).clamp(max=1.0)

    def _step(self) -> None:
        """One step of Gauss-Newton in controls and drift, then the offsets that go with it."""
        s = self.settings
        apart, places = self._apart()
        weight = self._weights(apart.norm(dim=-1))
        turn = rotation(self.rigid[:, :3])
        sides = self._sides(turn, places)  # (F, M * 3, K + 6)
        root = (weight.repeat_interleave(3, dim=1) / s.noise**2)[..., None]
        blocks = sides.transpose(1, 2) @ (root * sides)
        pull = (sides * root).transpose(1, 2) @ apart.reshape(len(apart), -1, 1)
        step = self._banded(blocks, pull[..., 0])
        count = len(self.rig.controls)
        moved = self.values + step[:, :count]
        moved = torch.minimum(torch.maximum(moved, self.rig.lower), self.rig.upper)
        self.values = torch.where(self.held, self.values, moved)
        if s.rigid:
            self.rigid = self.rigid + step[:, count:]
        if s.offsets:
            apart, _ = self._apart()
            weight = self._weights(apart.norm(dim=-1))[..., None]
            back = apart @ rotation(self.rigid[:, :3])
            ridge = (s.noise / s.offsets) ** 2
            self.offsets = self.offsets + ((weight * back).sum(0) - ridge * self.offsets) / (weight.sum(0) + ridge)

    def _sides(self, turn: Tensor, places: Tensor) -> Tensor:
        """How the put markers change with controls and drift."""
        frames, markers = places.shape[:2]
        if isinstance(self.rig, NativeRig) and self.rig.linear:
            slopes = jacobian(self.rig, self.binding, self.values[0]).reshape(1, markers, 3, -1)
        else:
            slopes = torch.cat([jacobian(self.rig, self.binding, part) for part in torch.split(self.values, 120)])
            slopes = slopes.reshape(frames, markers, 3, -1)
        by_controls = turn[:, None] @ slopes
        put = places @ turn.transpose(1, 2)
        zero = torch.zeros_like(put[..., 0])
        x, y, z = put.unbind(-1)
        by_turn = torch.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).reshape(frames, markers, 3, 3)
        by_shift = torch.eye(3, dtype=torch.float64).expand(frames, markers, 3, 3)
        return torch.cat([by_controls, by_turn, by_shift], -1).reshape(frames, markers * 3, -1)

    def _banded(self, blocks: Tensor, pull: Tensor) -> Tensor:
        """The step that solves data, smoothness and priors at once; variables at a limit they press on stay."""
        s, count = self.settings, len(self.rig.controls)
        frames, width = pull.shape
        now = torch.cat([self.values, self.rigid], 1)
        along = torch.tensor([s.smooth] * count + [s.steady] * 6, dtype=torch.float64)
        pinned = torch.tensor([s.rest] * count + [s.still / 0.01**2 * 1e-2] * 6, dtype=torch.float64)
        diagonal = pinned.expand(frames, width).clone()
        pull = pull - pinned * now
        if self.prior is not None:
            diagonal[:, :count] += self.prior.weight
            pull[:, :count] += self.prior.weight * (self.prior.values - self.values)
        pull = pull - along * _pulled(now)
        fixed = torch.zeros(frames, width, dtype=torch.bool)
        fixed[:, :count] = self.held
        if not s.rigid:
            fixed[:, count:] = True
        low, high = self.values <= self.rig.lower, self.values >= self.rig.upper
        fixed[:, :count] |= (low & (pull[:, :count] < 0)) | (high & (pull[:, :count] > 0))
        return _solve(blocks, diagonal, along, pull, fixed)


def _pulled(values: Tensor) -> Tensor:
    """D'D v of the second differences D over time, (F, N)."""
    found = torch.zeros_like(values)
    if len(values) > 2:
        second = values[2:] - 2 * values[1:-1] + values[:-2]
        found[2:] += second
        found[1:-1] -= 2 * second
        found[:-2] += second
    return found


def _seconds(frames: int, apart: int) -> Tensor:
    """The diagonal of D'D that is `apart` from its middle, (F - apart,)."""
    marks = torch.zeros(frames, dtype=torch.float64)
    if frames < 3:
        return marks[apart:]
    inner = torch.ones(frames - 2, dtype=torch.float64)
    if apart == 0:
        marks[:-2] += inner
        marks[1:-1] += 4 * inner
        marks[2:] += inner
        return marks
    if apart == 1:
        marks[1:-1] += -2 * inner
        marks[2:] += -2 * inner
        return marks[1:]
    return inner


def _solve(blocks: Tensor, diagonal: Tensor, along: Tensor, pull: Tensor, fixed: Tensor) -> Tensor:
    """A block-pentadiagonal system, (F, N, N) on its diagonal; `fixed` variables (F, N) do not move."""
    frames, width = pull.shape
    loose = (~fixed).double()
    blocks = blocks * loose[:, :, None] * loose[:, None]
    own = diagonal + _seconds(frames, 0)[:, None] * along
    blocks = blocks + torch.diag_embed(torch.where(fixed, torch.ones_like(own), own))
    band = np.zeros((2 * width + 1, frames * width))
    dense = blocks.numpy()
    for column in range(width):  # lower form: band[i - j, j] = a[i, j]
        for row in range(column, width):
            band[row - column, column::width] = dense[:, row, column]
    for apart in (1, 2):
        if frames > apart:
            beside = _seconds(frames, apart)[:, None] * along * loose[apart:] * loose[:-apart]
            band[apart * width, : (frames - apart) * width] = beside.reshape(-1).numpy()
    found = solveh_banded(band, (pull * loose).reshape(-1).numpy(), lower=True, check_finite=False)
    return torch.from_numpy(found).reshape(frames, width)


def without_drift(positions: Tensor, rigid: Tensor) -> Tensor:
    """Markers (F, M, 3) as they would be had the head not drifted by `rigid` (F, 6)."""
    return (positions - rigid[:, None, 3:]) @ rotation(rigid[:, :3])
