"""When placement acts: by noise level, so that the same setting means the same on every schedule and step count."""

import math

from sfumato.diffusion.schedule import Grid, Node


def log_snr(node: Node) -> float:
    """log(alpha^2 / sigma^2) of a noise level; -inf in pure noise, inf without any."""
    if node.sigma == 0:
        return math.inf
    return 2 * math.log(node.alpha / node.sigma) if node.alpha else -math.inf


def active(node: Node, until: float) -> bool:
    """Whether an edit that ends at log-SNR `until` acts at a noise level.

    # Differs from both papers, which edit the first 5 of 40 steps: on a flow schedule with even steps that is over
    # before anything has found its place.
    """
    return log_snr(node) <= until


def until_part(grid: Grid, part: float) -> float:
    """The log-SNR at which a part of a walk's steps, above 0 to 1 from noise on, is done: what the papers' counts mean
    here. At least one step is."""
    asked = list(reversed(grid.nodes[1:]))
    return log_snr(asked[max(1, round(part * len(asked))) - 1])
