"""Training words to look where their things are, which is what placing things by words' maps lives on."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from sfumato.models.training.captions import SLOTS, make_tokenizer
from sfumato.models.training.network import PLACE, Design, Networks
from sfumato.models.training.render import render
from sfumato.models.training.scenes import Scene
from sfumato.models.training.train import Batch, Source, Training, error, pictured
from sfumato.place.box import Box
from sfumato.place.masks import coverage

BLOCKS = (1, 2, 3, 4)  # whose maps are looked at: the first sees noise alone, the last is busy with surfaces
SHARE = 0.05  # of the grounding in the loss


class Looked:
    """How places looked at words, of every attention that listens, call by call."""

    def __init__(self, blocks: Any) -> None:
        self.seen: list[Tensor] = []
        for number in BLOCKS:
            blocks[number].attn2.register_forward_pre_hook(self._look, with_kwargs=True)

    def taken(self) -> Tensor:
        """Maps (rows, blocks, places, SLOTS) that sum to 1 over slots, of the call that was; they are forgotten."""
        seen, self.seen = self.seen, []
        return torch.stack(seen, 1)

    def _look(self, attention: Any, args: tuple[Tensor, ...], given: dict[str, Any]) -> None:
        if not attention.training:
            return
        words = given["encoder_hidden_states"]
        query = attention.to_q(args[0]).unflatten(-1, (attention.heads, -1))
        key = attention.to_k(words).unflatten(-1, (attention.heads, -1))
        scores = torch.einsum("bphc,bkhc->bhpk", query, key).float() * attention.scale
        self.seen.append((scores + given["attention_mask"].unsqueeze(1)).softmax(-1).mean(1))


class Grounded(Networks):
    """The same networks, which in training also say how their pictures' places looked at each word."""

    def __init__(self, seed: int = 0, design: Design = PLACE) -> None:
        super().__init__(seed, design)
        self.looked = Looked(self.transformer.transformer_blocks)

    def forward(self, latent: Tensor, time: Tensor, ids: Tensor, mask: Tensor) -> Any:
        """As `Networks`; in training v, and maps as `Looked` takes them."""
        v = super().forward(latent, time, ids, mask)
        return (v, self.looked.taken()) if self.training else v


def grounded_batches(
    training: Training, design: Design, codec: Any, source: Source, first: int = 0
) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """As `train.batches`; beside each batch, what of each place a thing's box covers, (B, things, places), and which
    slots name it, (B, things, SLOTS) 0 or 1."""
    for step in range(first, training.steps):
        drawn = list(islice(source(training.drawn(step)), training.batch // training.draws))
        batch = pictured(training, design, codec, drawn, *render(drawn, design.size), step)
        said = drawn * training.draws
        places = boxed(said, design.side // design.patch)
        yield batch, places, named(said, batch[4], places.shape[1])


def boxed(scenes: Sequence[Scene], side: int) -> Tensor:
    """What of each place every thing's box covers, (B, things, side * side) 0..1; no thing, nothing.

    Boxes, not things: words that look from all of a box draw a ring with its hole there. Those that look from the ring
    alone would have to be told where the hole is, and fill a box that they are made to look from.
    """
    found = torch.zeros(len(scenes), max(len(scene.things) for scene in scenes), side, side)
    for row, scene in enumerate(scenes):
        for number, thing in enumerate(scene.things):
            found[row, number] = coverage(Box(*thing.bounds), side, side)
    return found.flatten(2)


def named(scenes: Sequence[Scene], ids: Tensor, most: int) -> Tensor:
    """Which slots of prompts (B, SLOTS) name each thing: its colour and the noun behind it, (B, most, SLOTS) 0 or 1.

    Nothing for what a prompt does not mention, which an empty one does not.
    """
    tokenizer = make_tokenizer()
    found = torch.zeros(len(scenes), most, SLOTS)
    for row, scene in enumerate(scenes):
        for number, thing in enumerate(scene.things):
            at = (ids[row] == tokenizer.convert_tokens_to_ids(thing.colour)).nonzero().flatten()
            for slot in at.tolist():
                found[row, number, slot : slot + 2] = 1
    return found


def grounding(maps: Tensor, places: Tensor, words: Tensor) -> Tensor:
    """Cross-entropy between a thing's box and where its words are looked at from, nats, the mean over things.

    Args:
        maps: (B, blocks, P, K), see `Looked`.
        places: (B, things, P) parts of places covered.
        words: (B, things, K) 0 or 1.

    Where things are cannot be known from much noise: then the best map is the mean of what may be.

    Source: the token loss of Wang et al., "TokenCompose", 2024, arXiv 2312.03626, eq. (4).
    # Differs from it: boxes, not outlines (see `boxed`), and a cross-entropy of the map over places, which is least at
    # the mean; theirs asks all of the map to be inside and leaves where inside to a second loss.
    """
    looked = torch.einsum("bnpk,btk->bntp", maps, words)
    told = places.sum(-1) * words.sum(-1) > 0
    looked = looked / looked.sum(-1, keepdim=True).clamp(min=1e-9)
    wanted = places / places.sum(-1, keepdim=True).clamp(min=1e-9)
    each = -(wanted.unsqueeze(1) * (looked + 1e-6).log()).sum(-1).mean(1)
    return (each * told).sum() / told.sum().clamp(min=1)


def grounded_error(networks: Any, batch: Batch, places: Tensor, words: Tensor) -> Tensor:
    """What `Grounded` networks are trained on: the error of v, and `SHARE` of the grounding."""
    maps: list[Tensor] = []

    def answer(*given: Tensor) -> Tensor:
        v, seen = networks(*given)
        maps.append(seen)
        found: Tensor = v
        return found

    loss = error(answer, *batch)
    return loss + SHARE * grounding(maps[0], places, words)
