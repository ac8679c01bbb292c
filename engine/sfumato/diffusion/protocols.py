"""What a diffusion model is to us: three small protocols, and no library."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node

Prediction = Literal["eps", "v", "x0", "flow"]
"""What a network answers, for a latent z = alpha x0 + sigma eps:

eps the noise; x0 the clean latent; v = alpha eps - sigma x0 (needs alpha^2 + sigma^2 = 1); flow = eps - x0 (needs
alpha + sigma = 1).
"""


class Context(NamedTuple):
    """What prompts become, and what a network is shown of them.

    tokens: (B, T, C), float.
    mask: (B, T) bool, True where a token is; None where the network is shown every slot.
    pooled: (B, P), one vector for each whole prompt, for networks that want one (SDXL, SD3, Flux).
    """

    tokens: Tensor
    mask: Tensor | None = None
    pooled: Tensor | None = None

    @staticmethod
    def cat(contexts: Sequence["Context"]) -> "Context":
        """Joined along B, as `torch.cat` does. All have a mask or none has; the same for `pooled`."""
        masks = [c.mask for c in contexts if c.mask is not None]
        pooled = [c.pooled for c in contexts if c.pooled is not None]
        if len(masks) not in (0, len(contexts)) or len(pooled) not in (0, len(contexts)):
            raise ValueError("contexts of different networks cannot be joined: some have a mask or a pooled vector")
        return Context(
            torch.cat([c.tokens for c in contexts]),
            torch.cat(masks) if masks else None,
            torch.cat(pooled) if pooled else None,
        )


class Predictor(Protocol):
    """A network together with all that stays the same along a walk: prompts, guidance, masks.

    The same latent and node must give the same bits every time: exact inversion rests on nothing else. So no dropout,
    one batch layout, one attention backend, one number of threads.
    """

    @property
    def prediction(self) -> Prediction:
        """What `__call__` returns."""
        ...

    def __call__(self, latent: Tensor, node: Node) -> Tensor:
        """Answer for a latent at a noise level.

        Args:
            latent: float32, any shape, at `node`. A network of another dtype casts it.
            node: Where on the grid; `node.time` is what the network is told.

        Returns:
            The prediction, shape of latent, any float dtype.
        """
        ...


class Denoiser(Protocol):
    """A network that also wants a context; `guidance.Guided` turns it into a Predictor."""

    @property
    def prediction(self) -> Prediction:
        """What `__call__` returns."""
        ...

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        """As a Predictor, with a context of B prompts for a latent (B, ...)."""
        ...


@runtime_checkable
class Distilled(Denoiser, Protocol):
    """A denoiser that was taught to answer as if guided: it is told the weight, and asked once (Flux)."""

    def told(self, weight: float) -> Denoiser:
        """The same network, told a weight."""
        ...


class Codec(Protocol):
    """Latent <-> picture. The mode of the posterior, never a sample of it: the same picture, the same latent."""

    def encode(self, picture: Tensor) -> Tensor:
        """Picture (B, 3, H, W) float32, display-referred 0..1 -> latent (B, C, h, w) float32."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Latent (B, C, h, w) float32 -> picture (B, 3, H, W) float32, display-referred, not clipped."""
        ...


class Embedder(Protocol):
    """Prompts -> context."""

    def __call__(self, prompts: list[str]) -> Context:
        """B prompts -> a context of B rows. "" is what guidance calls no prompt."""
        ...
