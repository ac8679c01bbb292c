"""How much a take's fine-tune believes what a solver's networks say, told by the take's own markers.

The network's curves leave something at the markers. One step of least squares says which controls would explain it, and
what stays of that in the mean over a few frames is the network's error, not the markers' noise:

    e_k^2 = mean_f (mean d_fk)^2 - noise,    d_f = argmin |J d + arm h - left_f|^2 / NOISE^2 + |d|^2 / SPREAD^2 + |h|^2
    weight_k = 1 / (e_k^2 (1 + (e_k / DOUBT)^2))

A face that the solver knows is followed closely; one that it does not know is left to the markers.
"""

from __future__ import annotations

import torch
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from sfumato.face.binding import Binding, jacobian
from sfumato.face.curves import Curves
from sfumato.face.denoise import Fit, arms
from sfumato.face.markers import Markers
from sfumato.face.range_of_motion import NOISE
from sfumato.face.rig import Rig
from sfumato.face.solver_file import SolverFile

SPREAD = 0.3  # how far a network may be off
AROUND = 9  # frames over which its error is one
DOUBT = 0.006  # error beyond which the face is not one that it knows


def belief(
    solver: SolverFile, curves: Curves, markers: Markers, confidence: Tensor, rig: Rig, binding: Binding
) -> Tensor:
    """Weight of the networks' curves in the fine-tune (K,), one for each control, in the units of `Prior`.

    Args:
        curves: All controls, as the networks say. markers: The binding's, the day's offsets taken off.
    """
    taken = errors(curves, markers, confidence, rig, binding).square()
    known = 1 / solver.weight[[solver.controls.index(name) for name in rig.controls]]
    worse = torch.maximum(taken, known)
    return 1 / (worse * (1 + worse / DOUBT**2))


def errors(curves: Curves, markers: Markers, confidence: Tensor, rig: Rig, binding: Binding) -> Tensor:
    """(K,) RMS error of each control, as far as the markers tell."""
    values = curves.only(rig.controls).values
    rest = binding.at(rig, torch.zeros(len(rig.controls), dtype=torch.float64))
    slopes = jacobian(rig, binding, values.mean(0)).reshape(*rest.shape, -1)
    left = torch.cat([binding.at(rig, some) for some in torch.split(values, 500)])
    left = markers.only(binding.names, unseen=True).positions - left
    steps, _ = Fit.of(torch.cat([slopes * SPREAD, arms(rest)], -1), NOISE).fitted(left.nan_to_num(0.0), confidence)
    step = steps[:, : len(rig.controls)] * SPREAD
    calm = torch.from_numpy(uniform_filter1d(step.numpy(), AROUND, axis=0, mode="nearest"))
    noise = (step - calm).square().mean(0) / (AROUND - 1)
    return (calm.square().mean(0) - noise).clamp(min=0.0).sqrt()
