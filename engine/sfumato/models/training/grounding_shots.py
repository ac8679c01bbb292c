"""The same for shots: words look where their things are, frame by frame."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from sfumato.models.training.clips import Clip, clips
from sfumato.models.training.grounding import Looked, boxed, named
from sfumato.models.training.network import Networks
from sfumato.models.training.shots import FRAMES, ShotNetworks, clip_batch
from sfumato.models.training.train import Batch, Training


class GroundedShots(ShotNetworks):
    """The same networks, which in training also say how their frames' places looked at each word."""

    def __init__(self, stills: Networks, frames: int = FRAMES) -> None:
        super().__init__(stills, frames)
        self.looked = Looked(self.transformer.transformer_blocks)

    def forward(self, latent: Tensor, time: Tensor, ids: Tensor, mask: Tensor) -> Any:
        """As `ShotNetworks`; in training v, and maps of every frame, (B F, blocks, places, SLOTS)."""
        v = super().forward(latent, time, ids, mask)
        return (v, self.looked.taken()) if self.training else v


def grounded_shot_batches(
    training: Training, networks: ShotNetworks, codec: Any, first: int
) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """As `shots.shot_batches`; beside each batch, frame by frame, what `grounding.grounded_batches` adds."""
    for step in range(first, training.steps):
        drawn = list(islice(clips(training.drawn(step), networks.frames), training.batch))
        batch = clip_batch(training, networks, codec, drawn, step)
        yield batch, *clip_places(drawn, batch[4][:, 0], networks.design.side // networks.design.patch)


def clip_places(drawn: Sequence[Clip], ids: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """What of each place every thing's box covers, (B F, things, places), and which slots of the first of both
    prompts, (B, SLOTS), name it, (B F, things, SLOTS): those of the second name the same."""
    frames = len(drawn[0].scenes)
    places = boxed([scene for clip in drawn for scene in clip.scenes], side)
    words = named([clip.scenes[0] for clip in drawn], ids, places.shape[1])
    return places, torch.repeat_interleave(words, frames, 0)
