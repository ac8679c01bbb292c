"""Prompt-to-prompt: an edit that keeps the source's layout by attending as the source did.

Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022, arXiv 2208.01626. For the first part
of the steps the target's pass takes the source's cross-attention maps at the same noise level, word by word.

The source's pass and the target's are two calls, not one batch: the source's replay is exact only in the batch its
inversion ran in, and twice the batch gives other bits. Recording leaves a pass its bits, so the replay that an edit
makes anyway is where the maps come from, and they cost no call. `sfumato.diffusion.beside` walks both together, so that
one noise level's maps are held at a time: 66 MB for Stable Diffusion 1.5 at 512 px in float32, 0.15 MB for the embedded
model. Replaying first and editing after holds those of every level.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.schedule import Grid, Node
from sfumato.errors import RequestError
from sfumato.models.attention_maps import Layer, steerable, watched
from sfumato.models.attention_words import Alignment, Mode, Prompt, align, factors
from sfumato.models.model import Model

PLACES = 32 * 32  # self attention above this many places of the picture is left alone: its maps grow with the square


@dataclass(frozen=True)
class Control:
    """How a target attends, given a source. Holds no request's state: one may serve many frames and threads.

    network: What both passes run through.
    source, target: The prompts.
    mode: See `align`.
    until: The part of the walk's steps, from noise on, in which cross attention is exchanged, 0..1.
    weights: Factors of words or phrases of the target, while it is exchanged.
    layout: The part of the steps in which self attention over at most `PLACES` places is the source's too.
    """

    network: torch.nn.Module
    source: Prompt
    target: Prompt
    mode: Mode
    until: float
    weights: Mapping[str, float]
    layout: float

    def __call__(self, source: Predictor, target: Predictor, grid: Grid) -> tuple[Predictor, Predictor]:
        """The two predictors of one edit over one network: the first records, the second attends as it did.

        The first answers what `source` answers, to the bit. At every level it must be asked before the second, at the
        same rows. Beyond `until`, and of a prompt into itself without weights, both are as given.
        """
        if self.source == self.target and not self.weights:
            return source, target  # its own maps, worked out in another order, would have other bits
        asked = grid.steps - 1  # the levels between the first and the last
        maps = _Maps(self, {node: 1 - i / asked for i, node in enumerate(grid.nodes)})
        return _Recording(source, maps), _Attending(target, maps)


def controlled(
    model: Model,
    source: str,
    target: str,
    mode: Mode,
    *,
    until: float = 0.8,
    weights: Mapping[str, float] | None = None,
    layout: float = 0.0,
) -> Control:
    """Attention control for an edit of `source` into `target`.

        control = controlled(model, "a red ball", "a blue ball", "replace")
        source, target = control(Guided(model.denoiser, ...), Guided(model.denoiser, ...), plan.grid)
        replay, edit = resample_beside(plan, source, target, walk)

    Args:
        model: Its network must have attention from picture to words: Stable Diffusion 1, 2, XL, PixArt, ours.
        source, target: The prompts whose contexts the two predictors hold.
        mode: "replace" hands the attention of a word to the word in its place; "refine" keeps that of the words both
            have, and lets new ones find theirs; "reweight" is "refine" with weights.
        until: The part of the steps, from noise on, 0..1. Less changes more.
        weights: {"fluffy": 2.0}: how much more, or less, or (below 0) against; with any mode.
        layout: The same for self attention: more keeps shapes. 0 leaves it alone.

    Raises:
        RequestError: no such mode; parts outside 0..1; "reweight" without weights; a weight of a word that `target`
            does not have; a network that mixes words and picture in one attention (SD3, Flux).
    """
    if mode not in ("replace", "refine", "reweight"):
        raise RequestError(f"attention control “{mode}”", "choose replace, refine or reweight, or off")
    if not (0 <= until <= 1 and 0 <= layout <= 1):
        raise RequestError(f"attention control over {until:g} and {layout:g} of the steps", "give parts from 0 to 1")
    if mode == "reweight" and not weights:
        raise RequestError("attention is to be reweighted, and no word has a weight", "give one, as in fluffy=2")
    steerable(model.network)
    ours, theirs = Prompt(source, model.tokens(source)), Prompt(target, model.tokens(target))
    factors(theirs, weights or {}, len(theirs.tokens))  # says now what it would say at the first step
    return Control(model.network, ours, theirs, mode, until, dict(weights or {}), layout)


@dataclass
class _Maps:
    """What one edit has recorded and not yet used, by noise level and attention."""

    control: Control
    parts: dict[Node, float]  # how much of the walk is done where a level is asked for: 0 at the first
    kept: dict[Node, dict[str, Tensor]] = field(default_factory=dict)
    alignments: dict[tuple[int, int], Alignment] = field(default_factory=dict)

    def active(self, node: Node) -> bool:
        return self.parts[node] < max(self.control.until, self.control.layout)

    def wants(self, layer: Layer, node: Node) -> bool:
        if layer.cross:
            return self.parts[node] < self.control.until
        return self.parts[node] < self.control.layout and layer.places <= PLACES

    def edited(self, layer: Layer, source: Tensor, target: Tensor) -> Tensor:
        if not layer.cross:
            return source
        slots = source.shape[-1], target.shape[-1]
        if slots not in self.alignments:
            control = self.control
            self.alignments[slots] = align(control.source, control.target, control.mode, slots, control.weights)
        return self.alignments[slots](source, target)


@dataclass(frozen=True)
class _Recording:
    predictor: Predictor
    maps: _Maps

    @property
    def prediction(self) -> Prediction:
        return self.predictor.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        if not self.maps.active(node):
            return self.predictor(latent, node)
        kept: dict[str, Tensor] = {}

        def keep(layer: Layer, maps: Tensor) -> None:
            kept[layer.name] = maps

        with watched(self.maps.control.network, len(latent), lambda layer: self.maps.wants(layer, node), keep):
            out = self.predictor(latent, node)
        self.maps.kept[node] = kept
        return out


@dataclass(frozen=True)
class _Attending:
    predictor: Predictor
    maps: _Maps

    @property
    def prediction(self) -> Prediction:
        return self.predictor.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        if not self.maps.active(node):
            return self.predictor(latent, node)
        kept = self.maps.kept.pop(node, None)
        if kept is None:
            raise RequestError(
                f"the target was asked at time {node.time:g} before the source", "walk the source's replay beside it"
            )

        def exchange(layer: Layer, maps: Tensor) -> Tensor:
            return self.maps.edited(layer, kept[layer.name], maps)

        with watched(self.maps.control.network, len(latent), lambda layer: self.maps.wants(layer, node), exchange):
            return self.predictor(latent, node)
