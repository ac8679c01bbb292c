"""Classifier-free guidance as one Predictor, in one call of the network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Denoiser, Prediction
from sfumato.diffusion.schedule import Node


@dataclass(frozen=True)
class Guided:
    """A denoiser under a prompt: empty + weight (prompt - empty), Ho and Salimans 2022.

    Both halves travel in one batch. Asking in two calls gives other bits (7e-4 off after 50 steps), so whoever inverts
    with a Guided must sample with one too; at weight 1 the empty half is not asked at all.

    denoiser: The network.
    prompt, empty: Contexts, (B, tokens, channels) each.
    weight: 1 follows the prompt alone. Inversion at large weights amplifies errors: edit with 3 first.
    """

    denoiser: Denoiser
    prompt: Tensor
    empty: Tensor
    weight: float = 1.0

    @property
    def prediction(self) -> Prediction:
        return self.denoiser.prediction

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        if self.weight == 1:
            return self.denoiser(latent, node, self.prompt)
        answer = self.denoiser(torch.cat([latent, latent]), node, torch.cat([self.empty, self.prompt]))
        empty, prompt = answer.float().chunk(2)
        return empty + self.weight * (prompt - empty)
