"""Classifier-free guidance as one Predictor, in one call of the network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context, Denoiser, Distilled, Prediction
from sfumato.diffusion.schedule import Node


@dataclass(frozen=True)
class Guided:
    """A denoiser under a prompt: empty + weight (prompt - empty), Ho and Salimans 2022.

    Both halves travel in one batch. Asking in two calls gives other bits (7e-4 off after 50 steps), so whoever inverts
    with a Guided must sample with one too; at weight 1 the empty half is not asked at all. A network distilled to take
    the weight as an input (Flux) is told it, and asked once.

    denoiser: The network.
    prompt, empty: Contexts of as many rows as the latent has.
    weight: 1 follows the prompt alone. Inversion at large weights amplifies errors: edit with 3 first.
    """

    denoiser: Denoiser
    prompt: Context
    empty: Context
    weight: float = 1.0

    @property
    def prediction(self) -> Prediction:
        return self.denoiser.prediction

    @property
    def copies(self) -> int:
        """How many copies of the latent the network sees in one call: what `take_fingerprint` calls batch."""
        return 1 if self.weight == 1 or isinstance(self.denoiser, Distilled) else 2

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        if isinstance(self.denoiser, Distilled):
            return self.denoiser.told(self.weight)(latent, node, self.prompt)
        if self.weight == 1:
            return self.denoiser(latent, node, self.prompt)
        answer = self.denoiser(torch.cat([latent, latent]), node, Context.cat([self.empty, self.prompt]))
        empty, prompt = answer.float().chunk(2)
        return empty + self.weight * (prompt - empty)
