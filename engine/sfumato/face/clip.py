"""A whole clip at once: controls, rigid drift and marker offsets that explain the markers best, robustly and smoothly.

    minimise  sum_fm c_fm rho(|R_f (p_m(w_f) + o_m) + t_f - x_fm| / s)
            + sum_f w''_f' A_f w''_f + steady sum |r''|^2 + still sum |r|^2 + ridge sum |o|^2 / s^2
            + sum g_fk (w - w0)^2
    within    lower <= w <= upper,  w = key where an artist has locked one.

Reweighted Gauss-Newton; every step is one banded system over all frames (Newton's step projected onto the box). How
controls accelerate, A, is learned from the clip itself: see `sfumato.face.motion`.
"""

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.errors import InputError
from sfumato.face.banded import pulled, solved_along
from sfumato.face.binding import Binding, jacobian
from sfumato.face.clip_settings import ClipSettings, Known, Prior, Solved
from sfumato.face.curves import Curves
from sfumato.face.markers import Markers
from sfumato.face.motion import LEARN, Motion
from sfumato.face.placing import REST, Placing
from sfumato.face.rig import NativeRig, Rig, rotation
from sfumato.report import Report, Step, silent

PLACED = 3  # rounds after which it is looked whether markers sit where they are thought to
ELSEWHERE = 0.3  # of the residual's power that stays the same all through a take, where they do not
LEVER = 6.0  # cm from the head's middle, at which a turn is as much as a shift


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
    known: Known | None = None,
) -> Solved:
    """Solve a take whose head stands still but for a small drift.

    Args:
        markers: Stabilised, in the rig's space. binding: Of at least the markers that count.
        start: Where to begin; its locked keys are never changed.
        confidence: (F, M) 0..1, of the binding's markers; default: 1 where seen.
        free: (F, K) bool, what may change at all; default: everything that is not locked.
        known: What is kept as it is; default: everything is looked for.

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
        known: Known | None,
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
        known = known or Known()
        if known.rigid is not None:
            self.rigid, self.settings = known.rigid.clone(), replace(self.settings, rigid=False)
        if known.offsets is not None:
            self.offsets = known.offsets.clone()
            self.settings = replace(self.settings, offsets=False)
        learn = settings.learn and known.rigid is None
        self.motion = Motion(settings.smooth, settings.calm, self.markers.fps, learn, known.habits)
        self.placing = Placing(binding.at(rig, torch.zeros(count, dtype=torch.float64)))
        self.first = LEARN if known.rigid is not None and known.habits is not None else 0  # it begins near the answer
        self.round = self.first

    def solve(self, report: Report) -> Solved:
        before = torch.full_like(self.values, torch.inf)
        for done in range(self.first, self.settings.rounds):
            self.round = done
            report(Step("whole clip", done, self.settings.rounds))
            self._step()
            if done == PLACED and self.settings.offsets is None and self._elsewhere() > ELSEWHERE:
                self.settings = replace(self.settings, offsets=True)
            moved = float((self.values - before).abs().max()) if done > self.first else 1.0
            if moved < self.settings.settled and self.motion.learned(done):
                break
            before = self.values.clone()
        report(Step("whole clip", 1, 1))
        apart, _ = self._apart()
        size = apart.norm(dim=-1)
        size[~self.markers.seen] = torch.nan
        curves = Curves(self.rig.controls, self.markers.frames, self.values, self.markers.timeline_fps, self.keys)
        return Solved(curves, self.rigid, self.offsets, size, self._weights(size.nan_to_num(0.0)),
                      self.motion.habits)  # fmt: skip

    def _apart(self) -> tuple[Tensor, Tensor]:
        """Markers less where the rig puts them (F, M, 3), 0 where unseen; and the rig's places before the drift."""
        places = self.binding.at(self.rig, self.values) + self.offsets
        turn = rotation(self.rigid[:, :3])
        put = places @ turn.transpose(1, 2) + self.rigid[:, None, 3:]
        return (self.observed - put).nan_to_num(0.0), places

    def _weights(self, size: Tensor) -> Tensor:
        s, size = self.settings, size.clamp(min=1e-12)
        weight = self.sure * (s.robust * s.noise / size).clamp(max=1.0)
        if self.round < 3 or not s.wild:  # far from the answer nothing is wild
            return weight
        return weight * (s.wild * s.noise / size).clamp(max=1.0).square()

    def _elsewhere(self) -> float:
        """Which share of the residual's power, 0..1, is the same in every sample of a marker."""
        apart, _ = self._apart()
        weight = self._weights(apart.norm(dim=-1))[..., None]
        back = apart @ rotation(self.rigid[:, :3])
        mean = (weight * back).sum(0) / weight.sum(0).clamp(min=1e-12)
        power = (weight * back.square()).sum().clamp(min=1e-30)
        return float((weight * mean.square()).sum() / power)

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
            self._place(sides.reshape(*apart.shape, -1)[..., :count].mean(0))

    def _place(self, slopes: Tensor) -> None:
        """Where markers sit, and what of the expression was where they sit. slopes: (M, 3, K), of the take's mean."""
        apart, _ = self._apart()
        weight = self._weights(apart.norm(dim=-1))[..., None]
        back = apart @ rotation(self.rigid[:, :3])
        seen = weight.sum(0)[:, 0]
        mean = (weight * back).sum(0) / seen.clamp(min=1e-12)[:, None] + self.offsets
        self.offsets = self.placing.offsets(seen / self.settings.noise**2, mean)
        alike = ~self.held.any(0)
        told = None if self.prior is None else (self.prior.values[:, alike], self.prior.weight[:, alike])
        values, lower, upper = self.values[:, alike], self.rig.lower[alike], self.rig.upper[alike]
        shift = self.placing.exchange(self.offsets, slopes[..., alike], values, lower, upper, told)
        self.offsets = self.offsets - slopes[..., alike] @ shift
        self.values[:, alike] += shift
        self.values = torch.minimum(torch.maximum(self.values, self.rig.lower), self.rig.upper)

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
        unit = torch.tensor([LEVER**2] * 3 + [1.0] * 3, dtype=torch.float64)
        pinned = torch.cat([torch.full((count,), s.rest, dtype=torch.float64), s.still * unit])
        along = torch.zeros(max(frames - 2, 0), width, width, dtype=torch.float64)
        along[:, :count, :count] = self.motion.weight(self.values, self.round)
        along[:, count:, count:] = torch.diag(s.steady * (self.markers.fps / 60) ** 4 * unit)
        diagonal = pinned.expand(frames, width).clone()
        pull = pull - pinned * now - pulled(along, now)
        if s.offsets:
            pull[:, :count] -= REST * (self.rig.lower >= 0)
        if self.prior is not None:
            diagonal[:, :count] += self.prior.weight
            pull[:, :count] += self.prior.weight * (self.prior.values - self.values)
        fixed = torch.zeros(frames, width, dtype=torch.bool)
        fixed[:, :count] = self.held
        if not s.rigid:
            fixed[:, count:] = True
        low, high = self.values <= self.rig.lower, self.values >= self.rig.upper
        fixed[:, :count] |= (low & (pull[:, :count] < 0)) | (high & (pull[:, :count] > 0))
        return solved_along(blocks + torch.diag_embed(diagonal), along, pull, fixed)


def without_drift(positions: Tensor, rigid: Tensor) -> Tensor:
    """Markers (F, M, 3) as they would be had the head not drifted by `rigid` (F, 6)."""
    return (positions - rigid[:, None, 3:]) @ rotation(rigid[:, :3])
