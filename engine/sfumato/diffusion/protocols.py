"""What a diffusion model is to us: three small protocols, and no library."""

from typing import Literal, Protocol

from torch import Tensor

from sfumato.diffusion.schedule import Node

Prediction = Literal["eps", "v", "x0", "flow"]
"""What a network answers, for a latent z = alpha x0 + sigma eps:

eps the noise; x0 the clean latent; v = alpha eps - sigma x0 (needs alpha^2 + sigma^2 = 1); flow = eps - x0 (needs
alpha + sigma = 1).
"""


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

    def __call__(self, latent: Tensor, node: Node, context: Tensor) -> Tensor:
        """As a Predictor, with a context (B, tokens, channels) for a latent (B, ...)."""
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

    def __call__(self, prompts: list[str]) -> Tensor:
        """B prompts -> (B, tokens, channels)."""
        ...
