"""Where diffusers' transformers keep their blocks, and how to run those reversibly."""

from contextlib import suppress

import torch
from torch import nn

from sfumato.errors import RequestError
from sfumato.train.reversible import Reversible, ReversibleBlocks
from sfumato.train.streams import Streams

TWO = Streams(("hidden_states", "encoder_hidden_states"), (1, 0))
LISTS: dict[str, dict[str, Streams]] = {
    "PixArtTransformer2DModel": {"transformer_blocks": Streams()},
    "DiTTransformer2DModel": {"transformer_blocks": Streams()},
    "SD3Transformer2DModel": {"transformer_blocks": TWO},
    "FluxTransformer2DModel": {"transformer_blocks": TWO, "single_transformer_blocks": TWO},
}
BITS = 4  # |gamma| of a 16th: a network that knows something already is disturbed little


def can_reverse(network: nn.Module) -> bool:
    """Whether its blocks are known to be a plain list that one stream, or two, flows through."""
    return type(network).__name__ in LISTS


def make_reversible(network: nn.Module, bits: int = BITS) -> list[Reversible]:
    """Run a network's blocks reversibly in training from now on; names, weights and inference stay what they are.

    Raises:
        RequestError: a network whose blocks are no such list: a U-Net, or Latte's two interwoven ones.
    """
    kind = type(network).__name__
    if kind not in LISTS:
        raise RequestError(
            f"a {kind} has no list of residual blocks that could be undone one by one",
            f"train it without --reversible; with it go {', '.join(sorted(LISTS))}",
        )
    for name, streams in LISTS[kind].items():
        blocks = getattr(network, name)
        setattr(network, name, ReversibleBlocks(blocks, gamma_bits=bits, streams=streams))
    return stacks_of(network)


def make_plain(network: nn.Module) -> None:
    """Undo `make_reversible`."""
    for name, blocks in list(network.named_children()):
        if isinstance(blocks, ReversibleBlocks):
            setattr(network, name, nn.ModuleList(list(nn.ModuleList.__iter__(blocks))))


def stacks_of(network: nn.Module) -> list[Reversible]:
    """Its reversible stacks; none where there are none."""
    return [blocks.stack for blocks in network.children() if isinstance(blocks, ReversibleBlocks)]


def draw_from(network: nn.Module, generator: torch.Generator | None) -> None:
    """Let the signs of gamma come from a generator."""
    for stack in stacks_of(network):
        stack.generator = generator


def depth(network: nn.Module) -> int:
    """How many blocks it has, 0 where they are not known."""
    found = 0
    with suppress(AttributeError):
        found = sum(len(getattr(network, name)) for name in LISTS.get(type(network).__name__, {}))
    return found
