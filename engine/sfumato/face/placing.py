"""Where markers sit on a day that is not the rig's: put on again, on a face that has changed a little.

Offsets o (M, 3) are normal, alike on every axis, with covariance

    FACE^2 exp(-|x_i - x_j|^2 / (2 REACH^2)) + PUT^2 [i = j]

over where markers sit: a face changes smoothly, markers are put on one by one. Markers alone cannot tell an offset from
an expression that stays all through a take (o - J c looks like w + c). Two things can: that prior, and that a control
is seldom worn all the time, REST |w| a frame and (mean w / WORN)^2 / 2 a take. Both together are solved for exactly,
for o and then for the exchange c.
"""

import torch
from scipy.optimize import lsq_linear
from torch import Tensor

FACE, REACH, PUT = 0.2, 8.0, 0.06  # cm: how much a face changes, over which distance alike; how well markers are put
REST = 0.03  # weight of a control, in cm^-2 a frame
WORN = 0.5  # one standard deviation of what a control is in the mean over a take
RARE = 0.005  # of the samples may lie beyond a limit when an expression is exchanged for offsets

Believed = tuple[Tensor, Tensor] | None


class Placing:
    """The prior of one set of markers.

    places: (M, 3) cm, where they sit on the neutral.
    """

    def __init__(self, places: Tensor) -> None:
        apart = torch.cdist(places, places).square()
        covariance = FACE**2 * (-apart / (2 * REACH**2)).exp() + PUT**2 * torch.eye(len(places), dtype=torch.float64)
        self.precision = torch.linalg.inv(covariance)

    def offsets(self, seen: Tensor, mean: Tensor) -> Tensor:
        """The likeliest offsets (M, 3), cm, where evidence of weight seen (M,), cm^-2, says mean (M, 3)."""
        found: Tensor = torch.linalg.solve(self.precision + torch.diag(seen), seen[:, None] * mean)
        return found

    def exchange(
        self, offsets: Tensor, slopes: Tensor, values: Tensor, lower: Tensor, upper: Tensor, believed: Believed = None
    ) -> Tensor:
        """The change c (K,) of all samples of each control that makes offsets less J c, and w + c, likeliest.

        Args:
            offsets: (M, 3) cm.
            slopes: (M, 3, K) cm, J.
            values: (F, K), w.
            lower, upper: (K,) the controls' limits; where both are 0 or more, rest is at 0.
            believed: What else is believed of the values, (F, K) each: what they are, and the weight of that.
        """
        columns = slopes.flatten(0, 1)
        weighed = torch.einsum("mn,nik->mik", self.precision, slopes).flatten(0, 1)
        matrix = columns.T @ weighed
        matrix = matrix + torch.eye(len(matrix), dtype=matrix.dtype) / WORN**2
        right = weighed.T @ offsets.flatten() - REST * len(values) * (lower >= 0) - values.mean(0) / WORN**2
        if believed is not None:
            matrix = matrix + torch.diag(believed[1].sum(0))
            right = right + (believed[1] * (believed[0] - values)).sum(0)
        root = torch.linalg.cholesky(matrix)
        least = lower - torch.quantile(values, RARE, dim=0)
        most = upper - torch.quantile(values, 1 - RARE, dim=0)
        within = (torch.minimum(least, most) - 1e-9, torch.maximum(least, most) + 1e-9)
        goal = torch.linalg.solve_triangular(root, right[:, None], upper=False)[:, 0]
        found = lsq_linear(root.T.numpy(), goal.numpy(), (within[0].numpy(), within[1].numpy()), method="bvls")
        return torch.from_numpy(found.x)
