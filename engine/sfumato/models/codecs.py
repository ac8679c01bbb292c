"""Pictures <-> latents: an autoencoder's, or the pixels themselves."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.models.load_folder import Folder
from sfumato.shapes import expect


@dataclass(frozen=True)
class Pixels:
    """The latent is the picture, -1..1."""

    factor = 1

    def encode(self, picture: Tensor) -> Tensor:
        """See `Codec`."""
        return 2 * picture - 1

    def decode(self, latent: Tensor) -> Tensor:
        """See `Codec`."""
        return (latent + 1) / 2


@dataclass(frozen=True)
class Autoencoder:
    """diffusers' AutoencoderKL or AutoencoderTiny, in float32 whatever the model is in.

    In half precision a decoded picture has steps of 1/256, and an edit is the difference of two of them.
    Pictures go through one at a time, so that none's bits depend on its neighbours.

    network: The autoencoder.
    factor: Pixels a side for one place of the latent.
    shift, scale: latent = (encoded - shift) * scale, number or (1, C, 1, 1).
    """

    network: Any
    factor: int
    shift: float | Tensor
    scale: float | Tensor

    def encode(self, picture: Tensor) -> Tensor:
        """See `Codec`. Raises RequestError for a picture whose sides are not multiples of `factor`."""
        axes = expect("picture", picture, "B C H W", C=3)
        if axes["H"] % self.factor or axes["W"] % self.factor:
            raise RequestError(
                f"a picture of {axes['W']} x {axes['H']} does not fit an autoencoder of {self.factor} x {self.factor} "
                "pixels a place",
                "crop or pad it to a multiple",
            )
        found = torch.cat([self._encoded(one) for one in (2 * picture.float() - 1).chunk(len(picture))])
        return (found - self.shift) * self.scale

    def decode(self, latent: Tensor) -> Tensor:
        """See `Codec`."""
        found = latent.float() / self.scale + self.shift
        pictures = [self.network.decode(one, return_dict=False)[0] for one in found.chunk(len(found))]
        return (torch.cat(pictures) + 1) / 2

    def _encoded(self, picture: Tensor) -> Tensor:
        found = self.network.encode(picture)
        latent: Tensor = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
        return latent


def load_codec(folder: Folder, channels: int) -> Pixels | Autoencoder:
    """The folder's autoencoder, or pixels where it has none.

    Raises:
        RequestError: its latents have not `channels` channels, or it is of another kind.
    """
    codec: Pixels | Autoencoder = Pixels()
    if folder.kind("vae") is not None:
        codec = _autoencoder(folder.network("vae", "AutoencoderKL", "AutoencoderTiny", dtype=torch.float32))
    found = 3 if isinstance(codec, Pixels) else codec.network.config.latent_channels
    if channels != found:
        raise RequestError(
            f"the network of {folder.path} wants latents of {channels} channels, and its pictures have {found}",
            "it is an inpainting, depth or upscaling model, or its parts do not belong together: take a plain one",
        )
    return codec


def _autoencoder(network: Any) -> Autoencoder:
    config = network.config
    shift, scale = config.get("shift_factor") or 0.0, config.scaling_factor
    if config.get("latents_mean") and config.get("latents_std"):
        mean, std = (
            torch.tensor(config[name], device=network.device).view(1, -1, 1, 1)
            for name in ("latents_mean", "latents_std")
        )
        shift, scale = mean, scale / std
    return Autoencoder(network, 2 ** (len(config.block_out_channels) - 1), shift, scale)
