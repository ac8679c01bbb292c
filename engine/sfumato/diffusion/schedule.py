"""Noise levels: what a schedule is made of, and the grids of levels a solver walks."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from sfumato.errors import RequestError

Kind = Literal["vp", "ve", "flow"]
Spacing = Literal["uniform", "leading", "trailing"]


@dataclass(frozen=True)
class Node:
    """A noise level: z = alpha x0 + sigma eps. `time` is what the network is told; both come from here, never apart."""

    time: float
    alpha: float
    sigma: float

    @property
    def ratio(self) -> float:
        """sigma / alpha, the level in the coordinates where the flow of eps is straight; inf without signal."""
        return self.sigma / self.alpha if self.alpha else math.inf


@dataclass(frozen=True)
class Grid:
    """The levels of a walk, data first: nodes[0] is the least noisy, nodes[N] the noisiest; N steps.

    kind: "vp" alpha^2 + sigma^2 = 1; "ve" alpha = 1; "flow" alpha + sigma = 1.
    low, high: A level within the first and within the last step, for the improved start; None where the grid was cut.
    """

    kind: Kind
    nodes: tuple[Node, ...]
    low: Node
    high: Node | None

    def __post_init__(self) -> None:
        if len(self.nodes) < 3:
            raise RequestError(f"a walk of {len(self.nodes) - 1} steps", "two steps are the least")
        if not all(a.ratio < b.ratio for a, b in itertools.pairwise(self.nodes)):
            raise RequestError("noise levels must grow from data to noise, each above the one before")

    @property
    def steps(self) -> int:
        """N, one less than nodes."""
        return len(self.nodes) - 1

    def until(self, last: int) -> "Grid":
        """The first `last` steps only: an edit of strength < 1 is inverted to there and sampled again from there."""
        if not 2 <= last <= self.steps:
            raise RequestError(f"cannot stop at step {last} of {self.steps}", "choose a strength that leaves 2 steps")
        return self if last == self.steps else replace(self, nodes=self.nodes[: last + 1], high=None)


@dataclass(frozen=True)
class Table:
    """A discrete VP schedule: the signal power abar (alpha^2) of each training time 0, 1, ...

    Raises:
        RequestError: the power does not fall, or reaches 1 or 0. Without signal (zero terminal SNR) there is no way
            back to a picture.
    """

    power: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(1 > a > b > 0 for a, b in itertools.pairwise(self.power)):
            raise RequestError(
                "a schedule whose signal does not fall, or falls to nothing (zero terminal SNR), cannot be inverted",
                "use the model's schedule without rescaling to zero, or up to the time before the last",
            )

    @cached_property
    def _logs(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        power = np.array(self.power)
        return np.asarray(0.5 * np.log((1 - power) / power))

    def at(self, time: float) -> Node:
        """The level of a time; between whole times log(sigma / alpha) is taken as straight."""
        if float(time).is_integer():
            power = self.power[int(time)]
            return Node(float(time), math.sqrt(power), math.sqrt(1 - power))
        return self._node(time, float(np.interp(time, np.arange(len(self.power)), self._logs)))

    def where(self, ratio: float) -> Node:
        """The level of a ratio sigma / alpha within the table: the inverse of `at`."""
        log = math.log(ratio)
        return self._node(float(np.interp(log, self._logs, np.arange(len(self.power)))), log)

    @staticmethod
    def _node(time: float, log: float) -> Node:
        ratio = math.exp(log)
        alpha = 1 / math.sqrt(1 + ratio * ratio)
        return Node(time, alpha, ratio * alpha)


def scaled_linear(times: int = 1000, low: float = 0.00085, high: float = 0.012) -> Table:
    """Stable Diffusion's schedule: beta grows as the square of a line from sqrt(low) to sqrt(high).

    Rombach et al. 2022. float64; a scheduler that keeps its table in float32 passes that table to `Table` instead.
    """
    betas = np.linspace(low**0.5, high**0.5, times) ** 2
    return Table(tuple(float(p) for p in np.cumprod(1 - betas)))


def spaced_grid(table: Table, steps: int, spacing: Spacing = "uniform") -> Grid:
    """Levels evenly spaced in training time.

    "uniform" puts steps + 1 nodes from the first time to the last. "leading" and "trailing" are what pipelines call
    so: `steps` times, and below them the first time of the table as the data's level. Where that time is already among
    them it is not walked twice, and the grid has a step less.
    """
    last, every = len(table.power) - 1, len(table.power) // steps
    times = {
        "uniform": [round(i * last / steps) for i in range(steps + 1)],
        "leading": [0, *(i * every + 1 for i in range(steps))],
        "trailing": [0, *(round((i + 1) * len(table.power) / steps) - 1 for i in range(steps))],
    }[spacing]
    return table_grid(table, sorted(set(times)))


def table_grid(table: Table, times: Sequence[float]) -> Grid:
    """The grid through given training times, data first."""
    return vp_grid(table, tuple(table.at(t) for t in times))


def log_grid(table: Table, steps: int) -> Grid:
    """Levels evenly spaced in log(sigma / alpha) over the whole table: second order shows from 50 steps on."""
    low, high = table.at(0).ratio, table.at(len(table.power) - 1).ratio
    inner = (table.where(low * (high / low) ** (i / steps)) for i in range(1, steps))
    return vp_grid(table, (table.at(0), *inner, table.at(len(table.power) - 1)))


def karras_grid(table: Table, steps: int, rho: float = 7.0) -> Grid:
    """Karras et al., "Elucidating the Design Space", 2022, eq. (5), over the whole table's sigma / alpha."""
    ends = table.at(0), table.at(len(table.power) - 1)
    inner = (table.where(r) for r in _karras(ends[0].ratio, ends[1].ratio, steps, rho)[1:-1])
    return vp_grid(table, (ends[0], *inner, ends[1]))


def edm_grid(steps: int, low: float = 0.002, high: float = 80.0, rho: float = 7.0, zero: bool = False) -> Grid:
    """Karras et al. 2022, eq. (5): sigma from `low` to `high`, alpha = 1, time = sigma.

    zero: The last step of sampling goes to sigma 0, as theirs does. Such a grid cannot be inverted: a network has
    nothing to say about noise that is not there.
    """
    sigmas = [0.0, *_karras(low, high, steps - 1, rho)] if zero else _karras(low, high, steps, rho)
    nodes = tuple(Node(s, 1.0, s) for s in sigmas)
    return Grid("ve", nodes, *_between(nodes, lambda a, b: _ve((a.sigma + b.sigma) / 2)))


def flow_grid(steps: int, shift: float = 1.0) -> Grid:
    """Flow matching from t = 0 to t = 1, t = shift u / (1 + (shift - 1) u) for even u (Esser et al. 2024)."""
    return level_grid([shift * i / (steps + (shift - 1) * i) for i in range(steps + 1)])


def logit_grid(steps: int, low: float = 0.01, high: float = 0.97) -> Grid:
    """Flow matching with even steps in log(t / (1 - t)) from `low` to `high`, and a step to either end."""
    first, last = math.log(low / (1 - low)), math.log(high / (1 - high))
    inner = (1 / (1 + math.exp(-(first + (last - first) * i / (steps - 2)))) for i in range(steps - 1))
    return level_grid([0.0, *inner, 1.0])


def vp_grid(table: Table, nodes: tuple[Node, ...]) -> Grid:
    """The grid of given nodes, data first. The data's node may be without noise (sigma 0), whatever the table says."""
    return Grid("vp", nodes, *_between(nodes, lambda a, b: table.where(math.sqrt(a.ratio * b.ratio) or b.ratio / 2)))


def level_grid(levels: Sequence[float]) -> Grid:
    """The flow grid through given levels t in 0 .. 1, data first."""
    nodes = tuple(_flow(t) for t in levels)
    return Grid("flow", nodes, *_between(nodes, lambda a, b: _flow((a.time + b.time) / 2)))


def _flow(time: float) -> Node:
    return Node(time, 1 - time, time)


def _ve(sigma: float) -> Node:
    return Node(sigma, 1.0, sigma)


def _between(nodes: Sequence[Node], middle: Callable[[Node, Node], Node]) -> tuple[Node, Node]:
    return middle(nodes[0], nodes[1]), middle(nodes[-2], nodes[-1])


def _karras(low: float, high: float, steps: int, rho: float) -> list[float]:
    a, b = low ** (1 / rho), high ** (1 / rho)
    return [low, *((a + i / steps * (b - a)) ** rho for i in range(1, steps)), high]
