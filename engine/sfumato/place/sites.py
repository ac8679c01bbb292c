"""Where in a network words and picture meet, and how large the picture is there: from known sizes, never a root."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch import nn

from sfumato.errors import RequestError

Kind = Literal["cross", "joint", "self", "temporal"]
"""Picture to words; both to both in one sequence; picture to picture; a place to itself at other times."""


class Site(NamedTuple):
    """An attention while it runs.

    name: Where in the network.
    kind: What looks at what.
    frames, height, width: Of the picture's places that take part.
    slots: Of the words; 0 where they take no part.
    """

    name: str
    kind: Kind
    frames: int
    height: int
    width: int
    slots: int


class Space(NamedTuple):
    """What a network is shown: a latent of frames x height x width, and words in so many slots."""

    frames: int
    height: int
    width: int
    slots: int


@dataclass(frozen=True)
class Architecture:
    """How a class of networks attends.

    nested: A U-Net: every level below has half the places, rounded up.
    framed: Frames are rows of the batch, each looking at the words alone; else all frames are one sequence.
    text: Where words stand in a sequence shared with the picture; None where they are apart.
    timely: Parts of names of attentions over time.
    packed: Places a side that the denoiser packs into one before the network sees them.
    """

    nested: bool = False
    framed: bool = False
    text: Literal["first", "last"] | None = None
    timely: tuple[str, ...] = ()
    packed: int = 1


KNOWN: Mapping[str, Architecture] = {
    "UNet2DConditionModel": Architecture(nested=True),
    "UNet3DConditionModel": Architecture(nested=True, framed=True, timely=("temp_attentions", "transformer_in")),
    "UNetMotionModel": Architecture(nested=True, framed=True, timely=("motion_modules",)),
    "PixArtTransformer2DModel": Architecture(),
    "SanaTransformer2DModel": Architecture(),
    "LatteTransformer3DModel": Architecture(framed=True, timely=("temporal_transformer_blocks",)),
    "WanTransformer3DModel": Architecture(),
    "LTXVideoTransformer3DModel": Architecture(),
    "SD3Transformer2DModel": Architecture(text="last"),
    "FluxTransformer2DModel": Architecture(text="first", packed=2),
    "CogVideoXTransformer3DModel": Architecture(text="first"),
}


class Sites:
    """The attentions of one network for one space.

    Raises:
        RequestError: a class of network that is not known, or a latent that its patches do not divide.
    """

    def __init__(self, network: nn.Module, space: Space) -> None:
        name = type(network).__name__
        if name not in KNOWN:
            raise RequestError(
                f"{name} is a network whose attention sfumato does not know how to direct", f"take one of {_listed()}"
            )
        self.architecture, self.space = KNOWN[name], space
        self.grids = _grids(self.architecture, getattr(network, "config", {}), space)

    def over_time(self, name: str) -> bool:
        """Whether an attention looks along time."""
        return any(part in name for part in self.architecture.timely)

    def rows_of(self, name: str, batch: int) -> int:
        """Rows of a whole attention, for one that may be shown in slices; 0 for one over time, whose rows are places
        of a level that a slice does not tell."""
        if self.over_time(name):
            return 0
        return batch * (self.space.frames if self.architecture.framed else 1)

    def site(self, name: str, words: bool, rows: int, queries: int, keys: int, batch: int) -> Site | None:
        """What an attention is, by the sizes of what it is computed from; None where it is none of those known.

        Args:
            name: Of the attention.
            words: Whether it was handed words beside the picture.
            rows, queries, keys: Of the tensors in attention.
            batch: Rows of the latent that the network was given.
        """
        frames, slots = self.space.frames, self.space.slots
        if self.over_time(name):
            if queries != frames or keys != frames:
                return None
            grid = next((g for g in self.grids if g[1] * g[2] * batch == rows), None)
            return Site(name, "temporal", *grid, 0) if grid else None
        together = rows == batch if not self.architecture.framed else rows == batch * frames
        if not together:
            return None
        for grid in self.grids:
            places = grid[1] * grid[2] * (1 if self.architecture.framed else grid[0])
            if self.architecture.text:
                if queries == keys == places + slots:
                    return Site(name, "joint", *grid, slots)
                if queries == keys == places:
                    return Site(name, "self", *grid, 0)
            elif queries == places and words and keys == slots:
                return Site(name, "cross", *grid, slots)
            elif queries == places and not words and keys == places:
                return Site(name, "self", *grid, 0)
        return None


def attentions(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The attentions of a diffusers network, name and module."""
    return [(name, module) for name, module in network.named_modules() if hasattr(module, "get_processor")]


def _grids(architecture: Architecture, config: Any, space: Space) -> list[tuple[int, int, int]]:
    """Frames, height and width of the places at every level of a network, finest first."""
    if architecture.nested:
        height, width = space.height, space.width
        found = [(space.frames, height, width)]
        for _ in config["block_out_channels"][1:]:
            height, width = -(-height // 2), -(-width // 2)
            found.append((space.frames, height, width))
        return found
    size = _patch(config) if architecture.packed == 1 else (1, architecture.packed, architecture.packed)
    frames, height, width = (n // p for n, p in zip(space[:3], size, strict=True))
    if any(n % p for n, p in zip(space[:3], size, strict=True)):
        raise RequestError(
            f"a latent of {space.frames} x {space.height} x {space.width} does not divide into patches of {size}",
            "render a size that is a multiple",
        )
    return [(frames, height, width)]


def _patch(config: Any) -> tuple[int, int, int]:
    """Frames, height and width of a patch; Wan gives all three, others one number and perhaps one for time."""
    size = config.get("patch_size") or 1
    if not isinstance(size, int):
        return tuple(size)
    return (config.get("patch_size_t") or 1, size, size)


def _listed() -> str:
    return ", ".join(KNOWN)
