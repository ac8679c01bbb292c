"""DDIM: one step along the prediction, in either direction, for every kind of schedule and network."""

from collections.abc import Generator

from torch import Tensor

from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.schedule import Grid, Node
from sfumato.errors import RequestError

Ask = tuple[Tensor, Node]
"""A latent to show the network, and its level."""
Asking = Generator[Ask, Tensor, Tensor]
"""Part of a walk that yields each `Ask`, is sent the network's answer, and returns what it worked out.

So one formula serves those who can call the network and those who are called by whoever does (a pipeline's scheduler).
"""


def answered(asking: Asking, predictor: Predictor) -> Tensor:
    """What `asking` returns when a predictor answers it."""
    try:
        ask = next(asking)
        while True:
            ask = asking.send(predictor(*ask))
    except StopIteration as end:
        found: Tensor = end.value
        return found


def weights(prediction: Prediction, here: Node, there: Node) -> tuple[float, float]:
    """p and q of the DDIM increment D(here -> there | z) = p z + q out, float64.

    Song et al., "Denoising Diffusion Implicit Models", 2021, eq. (12) with sigma = 0:
    D = alpha_there x0hat + sigma_there epshat - z, where both estimates are linear in z and in the network's answer.
    On a flow schedule this is Euler's step (t_there - t_here) v; on VE, (sigma_there - sigma_here) eps.

    Raises:
        RequestError: the answer says nothing at this level: eps without signal, x0 without noise.
    """
    a, s = here.alpha, here.sigma
    if (prediction == "eps" and a == 0) or (prediction == "x0" and s == 0):
        lacks = "signal (zero terminal SNR)" if a == 0 else "noise"
        raise RequestError(
            f"{prediction} prediction has no meaning at time {here.time:g}, where there is no {lacks}",
            "end the grid a little before that level",
        )
    (xz, xo), (ez, eo) = {
        "eps": lambda: ((1 / a, -s / a), (0.0, 1.0)),
        "x0": lambda: ((0.0, 1.0), (1 / s, -a / s)),
        "v": lambda: ((a, -s), (s, a)),
        "flow": lambda: ((1.0, -s), (1.0, a)),
    }[prediction]()
    return there.alpha * xz + there.sigma * ez - 1, there.alpha * xo + there.sigma * eo


def increment(z: Tensor, out: Tensor, prediction: Prediction, here: Node, there: Node) -> Tensor:
    """D(here -> there | z): what DDIM adds to z. z float32 or float64; out any float dtype, same shape."""
    p, q = weights(prediction, here, there)
    return z * p + out.to(z.dtype) * q


def heun_increment(z: Tensor, out: Tensor, predictor: Predictor, here: Node, there: Node) -> Tensor:
    """Heun's increment: half of the step ahead from z, half of the step back from where that leads. One more call.

    (D(here -> there | z) - D(there -> here | z + D)) / 2; for flow and VE this is the trapezoidal rule, for VP the same
    to third order. A function of z alone, so BDIA may be built on it.
    """
    return answered(heun_asking(z, out, predictor.prediction, here, there), predictor)


def heun_asking(z: Tensor, out: Tensor, prediction: Prediction, here: Node, there: Node) -> Asking:
    """`heun_increment` for a caller who asks the network: once, at the far end."""
    ahead = increment(z, out, prediction, here, there)
    again = yield z + ahead, there
    return (ahead - increment(z + ahead, again, prediction, there, here)) * 0.5


def ddim_sample(predictor: Predictor, grid: Grid, noise: Tensor) -> Tensor:
    """From nodes[N] to nodes[0] by plain DDIM, one call a step. The baseline; first order."""
    z = noise
    for here, there in zip(grid.nodes[:0:-1], grid.nodes[-2::-1], strict=True):
        z = z + increment(z, predictor(z, here), predictor.prediction, here, there)
    return z


def ddim_invert(predictor: Predictor, grid: Grid, data: Tensor, iterations: int = 0) -> Tensor:
    """From nodes[0] to nodes[N] by DDIM run backwards. Not exact: the way back asks the network at another latent.

    Args:
        predictor: The network.
        grid: The levels.
        data: Latent at nodes[0].
        iterations: Rounds of the fixed point z' = z - D(there -> here | z'), which makes the step exact when it
            converges (Pan et al., "Effective Real Image Editing with Accelerated Iterative Diffusion Inversion",
            2023); each costs a call. 0 is the usual DDIM inversion.
    """
    z = data
    for here, there in zip(grid.nodes[:-1], grid.nodes[1:], strict=True):
        ahead = z + increment(z, predictor(z, here), predictor.prediction, here, there)
        for _ in range(iterations):
            ahead = z - increment(ahead, predictor(ahead, there), predictor.prediction, there, here)
        z = ahead
    return z


def started(predictor: Predictor, z: Tensor, here: Node, there: Node, middle: Node | None) -> Tensor:
    """The first step of a two-step walk: DDIM (one call), or two of Heun's through `middle` (four calls).

    The start decides the latent of an inversion: on Stable Diffusion's uniform grid the second way takes two thirds
    of the error away.
    """
    return answered(starting(predictor.prediction, z, here, there, middle), predictor)


def starting(prediction: Prediction, z: Tensor, here: Node, there: Node, middle: Node | None) -> Asking:
    """`started` for a caller who asks the network: once at `here`, or four times on the way through `middle`."""
    if middle is None:
        out = yield z, here
        return z + increment(z, out, prediction, here, there)
    for a, b in ((here, middle), (middle, there)):
        out = yield z, a
        z = z + (yield from heun_asking(z, out, prediction, a, b))
    return z
