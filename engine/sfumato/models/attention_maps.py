"""Seeing the attention maps of a diffusers network, and changing them, without touching its processors.

A processor projects, normalises and masks in its own way, and then asks torch for attention or for a softmax: there,
and only there, `watched` steps in. So whatever processor a network has is kept, and its other arithmetic with it; a
network that is not watched in this thread runs as if this file were not there, to the bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sfumato.errors import RequestError
from sfumato.models.attention_hooks import AttentionHooks


class Layer(NamedTuple):
    """An attention while it runs.

    name: Where in the network.
    cross: Whether its keys are words; else they are the picture's own places.
    places: How many places of the picture ask.
    """

    name: str
    cross: bool
    places: int


Wants = Callable[[Layer], bool]
Sees = Callable[[Layer, Tensor], Tensor | None]
"""Gets a map (B, heads, places, keys), float32, rows summing to 1; may answer with another."""


def steerable(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The attentions of a network, name and module, if some of them look at words and at nothing else.

    Raises:
        RequestError: words and picture share one attention (SD3, Flux), or there are no words.
    """
    found = [(name, module) for name, module in network.named_modules() if hasattr(module, "get_processor")]
    crossing = [m for _, m in found if getattr(m, "is_cross_attention", False) and _alone(m)]
    if not crossing:
        raise RequestError(
            f"{type(network).__name__} has no attention from the picture to the words alone, which attention control "
            "needs: SD3 and Flux mix both in one",
            "turn attention control off, or take a model of the Stable Diffusion 1, 2, XL or PixArt kind",
        )
    return found


@contextmanager
def watched(network: nn.Module, rows: int, wants: Wants, sees: Sees) -> Iterator[None]:
    """Within it, this thread's calls of the network show their maps.

    Args:
        network: As `steerable` accepts.
        rows: B, the rows of a batch that are shown: its last, where guidance puts the prompt. The others keep their
            bits.
        wants: Which attentions to look at. The others are left alone.
        sees: Gets the maps; what it returns, if anything, is attended with instead.

    Raises:
        RequestError: a wanted attention runs on a kernel that makes no map (xformers, flash) or makes it in slices, or
            the network is compiled.
    """
    watch = _Watch(rows, wants, sees)
    with _HOOKS.on(network):
        token = _WATCH.set(watch)
        try:
            with watch:
                yield
        finally:
            _WATCH.reset(token)
    if not watch.layers:
        raise RequestError(
            f"the attentions of this {type(network).__name__} do not show when they run, so they cannot be steered",
            "load it without compiling, or turn attention control off",
        )


class _Watch(TorchFunctionMode):
    def __init__(self, rows: int, wants: Wants, sees: Sees) -> None:
        super().__init__()
        self.rows, self.wants, self.sees = rows, wants, sees
        self.layers = 0  # attentions passed
        self.layer: Layer | None = None  # the one running, until its map was seen
        self.heads = self.batch = 0

    def enter(self, layer: Layer, heads: int, batch: int) -> None:
        self.layers += 1
        self.layer, self.heads, self.batch = (layer if self.wants(layer) else None), heads, batch

    def leave(self, processor: str) -> None:
        if self.layer is not None:
            raise RequestError(
                f"attention {self.layer.name} runs on {processor}, which makes no whole map to steer by",
                "load the model with diffusers' default attention (no xformers, flash or slicing), or turn attention "
                "control off",
            )

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if self.layer is None or func not in _MAKING:
            return out
        if func is torch.nn.functional.scaled_dot_product_attention:
            return self._attended(out, *args, **(kwargs or {}))
        return self._softened(out)

    def _attended(self, out: Tensor, query: Tensor, key: Tensor, value: Tensor, *args: Any, **more: Any) -> Tensor:
        if query.dim() != 4 or len(query) != self.batch or key.shape[1] != query.shape[1]:
            return out
        chosen = slice(len(query) - self.rows, None)
        new = self._shown(_map(query, key, chosen, *args, **more))
        if new is None:
            return out
        return torch.cat([out[: chosen.start], new.to(value.dtype) @ value[chosen]])

    def _softened(self, out: Tensor) -> Tensor:
        """The softmax of processors that do without the fused kernel: (batch heads, places, keys)."""
        if out.dim() != 3 or len(out) != self.batch * self.heads:
            return out
        maps = out.reshape(self.batch, self.heads, *out.shape[1:])
        first = self.batch - self.rows
        new = self._shown(maps[first:].float())
        return out if new is None else torch.cat([maps[:first], new.to(out.dtype)]).flatten(0, 1)

    def _shown(self, maps: Tensor) -> Tensor | None:
        layer, self.layer = self.layer, None
        assert layer is not None
        return self.sees(layer, maps)


def _map(
    query: Tensor,
    key: Tensor,
    rows: slice,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(Q K^T / sqrt(d) + mask), what the fused kernel never writes down."""
    scores = query[rows].float() @ key[rows].float().transpose(-1, -2)
    scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
    if attn_mask is not None:
        mask = attn_mask[rows] if attn_mask.dim() == 4 and len(attn_mask) == len(query) else attn_mask
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask.float()
    return scores.softmax(-1)


_MAKING = (torch.nn.functional.scaled_dot_product_attention, Tensor.softmax, torch.softmax, nn.functional.softmax)
_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)  # of this thread; other threads see none


def _entering(name: str) -> Callable[..., None]:
    def enter(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        watch = _WATCH.get()
        if watch is None or kwargs is None:
            return
        hidden = args[0] if args else kwargs["hidden_states"]
        words = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
        places = hidden.shape[1] if hidden.dim() == 3 else hidden[0, 0].numel()
        watch.enter(Layer(name, words is not None, places), module.heads, len(hidden))

    return enter


def _leaving(module: Any, args: Any, out: Any) -> None:
    watch = _WATCH.get()
    if watch is not None:
        watch.leave(type(module.get_processor()).__name__)


_HOOKS = AttentionHooks(steerable, _entering, _leaving)


def _alone(attention: nn.Module) -> bool:
    return getattr(attention, "add_k_proj", None) is None
