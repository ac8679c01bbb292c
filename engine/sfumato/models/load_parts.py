"""What each architecture's file gives the loader."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sfumato.diffusion.protocols import Denoiser
from sfumato.models.codecs import Autoencoder, Pixels
from sfumato.models.model import Reader


class Parts(NamedTuple):
    """A model's pieces.

    side: Of its native latent, in places; height and width where they differ.
    block: Sides of a latent must be multiples of this many places.
    frames: Of its clips; 1 where it makes pictures.
    """

    denoiser: Denoiser
    codec: Pixels | Autoencoder
    embedder: Reader
    network: Any
    side: int | Sequence[int]
    block: int
    frames: int = 1
