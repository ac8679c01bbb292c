"""A model from a folder on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sfumato.diffusion.protocols import Prediction
from sfumato.errors import RequestError
from sfumato.models.flux import flux
from sfumato.models.latte import latte
from sfumato.models.load_about import read_digest
from sfumato.models.load_files import KNOWN, folder_name, folder_path, network_files, read_index
from sfumato.models.load_folder import Folder, offline, open_folder
from sfumato.models.load_levels import read_levels
from sfumato.models.load_licence import read_licence
from sfumato.models.load_parts import Parts
from sfumato.models.model import Model
from sfumato.models.pixart import pixart
from sfumato.models.sd3 import sd3
from sfumato.models.sdxl import sdxl
from sfumato.models.unet import unet

_MAKERS: dict[str, Callable[[Folder, Prediction], Parts]] = {
    "UNet2DConditionModel": unet,
    "SD3Transformer2DModel": sd3,
    "FluxTransformer2DModel": flux,
    "PixArtTransformer2DModel": pixart,
    "LatteTransformer3DModel": latte,
}


@dataclass(frozen=True)
class About:
    """Name, licence and weights of a model, as in `Model`, known without loading a network."""

    name: str
    licence: str
    digest: str


def read_about(where: str | Path = "embedded") -> About:
    """What a model's folder says of it.

    Raises:
        RequestError: no such folder, code in it, or weights that are missing, damaged or only in pickles.
    """
    path = folder_path(where)
    index = read_index(path)
    return About(folder_name(where), read_licence(path, index), read_digest(network_files(path, index)))


def load_model(
    where: str | Path = "embedded", device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Model:
    """A model by the name of an embedded one, or from a folder in the diffusers layout. Nothing is ever downloaded.

    Args:
        where: The folder: Stable Diffusion 1 and 2, XL, 3, Flux, PixArt, Latte; or a name in `EMBEDDED_NAMES`.
        device: Where its networks go.
        dtype: Of its networks, less the autoencoder, which is always in float32.

    Raises:
        RequestError: no such folder; another architecture; a part, its weights or its tokenizer missing or damaged;
            weights only in pickles; code in the folder.
        MemoryLimitError: there is no room for it.
    """
    with offline():
        folder = open_folder(folder_path(where), torch.device(device), dtype)
        maker = _maker(folder)
        network_files(folder.path, folder.index)  # a file that is missing is told before others have loaded for minutes
        levels = read_levels(folder.config("scheduler"))
        parts = maker(folder, levels.prediction)
    factor = parts.codec.factor
    height, width = (parts.side, parts.side) if isinstance(parts.side, int) else parts.side
    about = read_about(where)
    return Model(
        name=about.name,
        licence=about.licence,
        digest=about.digest,
        denoiser=parts.denoiser,
        codec=parts.codec,
        embedder=parts.embedder,
        levels=levels,
        size=(height * factor, width * factor),
        multiple=parts.block * factor,
        network=parts.network,
        frames=parts.frames,
    )


def _maker(folder: Folder) -> Callable[[Folder, Prediction], Parts]:
    network = folder.kind("transformer") or folder.kind("unet")
    found = _MAKERS.get(str(network))
    if found is None:
        raise RequestError(
            f"{folder.path} is a {folder.index.get('_class_name')} with {network or 'no denoising network'}, "
            "an architecture sfumato does not know",
            KNOWN,
        )
    return sdxl if found is unet and folder.kind("text_encoder_2") else found
