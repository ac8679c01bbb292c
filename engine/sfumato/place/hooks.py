"""Steering the attention of a diffusers network: processors are neither replaced nor touched.

A processor projects, normalises, rotates and masks in its own way, and then asks torch for attention, or for a softmax:
there, and only there, `directed` steps in. So whatever processor a network has is kept, and with it LoRA, IP-Adapter,
offload and slicing; a network that is not directed in this thread runs as if this file were not there, to the bit, and
so do the rows of a batch that are not to be directed.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sfumato.errors import RequestError
from sfumato.models.attention_hooks import AttentionHooks
from sfumato.place.kernels import Rows, biased, explicit, softened
from sfumato.place.sites import Site, Sites, Space, attentions


class Enough(Exception):  # noqa: N818
    """Raised by a `Steer` that has seen all it wants: the rest of the network need not be run."""


class Steer:
    """What is done to attention: override what is wanted. The base does nothing.

    Shapes, with R the rows directed, F frames, H heads, P places, K slots: "cross" and "joint" (R, F, H, P, K);
    "self" (R, F, H, P, P), or (R, 1, H, F P, F P) where all frames are one sequence; "temporal" (R, P, H, F, F).
    """

    def bias(self, site: Site) -> Tensor | None:
        """Added to the scores before the softmax, in fused attention: as above without H, float32; without R too where
        all rows get the same."""
        return None

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """Whether `see` is to be shown the scores before the softmax, or the maps after it. Both cost memory."""
        return None

    def see(self, site: Site, shown: Tensor) -> Tensor | None:
        """Is shown scores or maps, float32, and may answer with others. What is changed need not sum to 1."""
        return None

    def words(self) -> Tensor | None:
        """The words for each frame (F, K, C), or for each row's (R, F, K, C), as the network is given them, in place of
        one prompt for all frames."""
        return None


@contextmanager
def directed(network: nn.Module, space: Space, rows: Sequence[bool], steer: Steer) -> Iterator[None]:
    """Within it, this thread's calls of the network are steered.

    Args:
        network: One of `sites.KNOWN`.
        space: What it is shown.
        rows: For each row of the latent whether it is to be steered: guidance's batch is [False, True].
        steer: What is done.

    Raises:
        RequestError: the network's class is not known, or a wanted attention does not show: it runs on a kernel of its
            own (xformers, flash), or compiled.
    """
    sites = Sites(network, space)
    mode = _Mode(network, sites, tuple(rows), steer)
    asked: list[bool] = []  # nobody asks a network whose answer is kept from before
    asking = network.register_forward_pre_hook(lambda *_: asked.append(True))
    with _HOOKS.on(network):
        token = _MODE.set(mode)
        try:
            yield
        finally:
            _MODE.reset(token)
            mode.close()
            asking.remove()
    if asked and not mode.met:
        raise RequestError(
            f"no attention of this {type(network).__name__} could be steered: none of {space.frames} x {space.height} "
            f"x {space.width} places looked at {space.slots} words",
            "load it with diffusers' default attention, not compiled",
        )


class _Mode(TorchFunctionMode):
    """Watches one attention at a time, from where its module is entered to where it is left."""

    def __init__(self, network: nn.Module, sites: Sites, rows: tuple[bool, ...], steer: Steer) -> None:
        super().__init__()
        self.network, self.sites, self.rows, self.steer = network, sites, rows, steer
        self.met = 0
        self.name = ""
        self.words = self.watching = self.pushed = False
        self.heads = self.part = 0

    def enter(self, name: str, module: Any, words: bool) -> None:
        self.name, self.words, self.heads = name, words, int(module.heads)
        self.watching, self.part = True, 0
        self.__enter__()  # type: ignore[no-untyped-call]
        self.pushed = True

    def close(self) -> None:
        if self.pushed:
            self.pushed = self.watching = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if self.watching and func is nn.functional.scaled_dot_product_attention:
            return self._attended(func, *args, **given)
        if self.watching and func in _SOFTMAX and args and args[0].dim() == 3:
            return self._softened(func, args, given)
        return func(*args, **given)

    def _asked(self, site: Site | None) -> tuple[Tensor | None, Literal["scores", "maps"] | None]:
        if site is None or not any(self.rows):
            return None, None
        self.met += site.kind in ("cross", "joint")
        return self.steer.bias(site), self.steer.wants(site)

    def _attended(self, func: Any, query: Tensor, key: Tensor, value: Tensor, *more: Any, **given: Any) -> Tensor:
        site = self.sites.site(self.name, self.words, len(query), query.shape[-2], key.shape[-2], len(self.rows))
        bias, wants = self._asked(site)
        if site is None or (bias is None and wants is None):
            found: Tensor = func(query, key, value, *more, **given)
            return found
        self.watching = False
        where = Rows.of(site, self.sites.architecture, self.rows)
        names = ("attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
        options = dict(zip(names, more, strict=False)) | given
        if wants is None:
            assert bias is not None
            return biased(func, where, bias, query, key, value, options)
        return explicit(func, where, bias, self.steer, wants, query, key, value, options)

    def _softened(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
        """The softmax of processors that do without the fused kernel: (rows heads, queries, keys), or slices of it."""
        scores: Tensor = args[0]
        total = self.sites.rows_of(self.name, len(self.rows)) or len(scores) // self.heads
        site = self.sites.site(self.name, self.words, total, scores.shape[1], scores.shape[2], len(self.rows))
        bias, wants = self._asked(site)
        if site is None or (bias is None and wants is None):
            found: Tensor = func(*args, **given)
            return found
        if wants and len(scores) != total * self.heads:
            raise RequestError(
                f"attention {self.name} is computed in slices, and this method needs whole maps",
                "switch attention slicing off, or take the method fast",
            )
        where = Rows.of(site, self.sites.architecture, self.rows)
        first, self.part = self.part, self.part + len(scores)
        self.watching = self.part < total * self.heads
        return softened(func, where, bias, self.steer, wants, self.heads, first, args, given)


_SOFTMAX = (Tensor.softmax, torch.softmax, nn.functional.softmax)
_MODE: ContextVar[_Mode | None] = ContextVar("mode", default=None)  # of this thread; other threads see none


def _entering(name: str) -> Callable[..., Any]:
    def enter(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        mode = _MODE.get()
        if mode is None or kwargs is None:
            return None
        words = args[1] if len(args) > 1 else kwargs.get("encoder_hidden_states")
        spoken = mode.steer.words() if isinstance(words, Tensor) and not mode.sites.over_time(name) else None
        told = None if spoken is None else (args, kwargs | {"encoder_hidden_states": _told(mode, words, spoken)})
        mode.enter(name, module, words is not None)
        return told

    return enter


def _leaving(module: Any, args: Any, out: Any) -> None:
    mode = _MODE.get()
    if mode is not None:
        mode.close()


_HOOKS = AttentionHooks(attentions, _entering, _leaving, always=True)


def _told(mode: _Mode, words: Any, spoken: Tensor) -> Tensor:
    """The words of directed rows replaced, frame by frame, by `spoken`."""
    if not mode.sites.architecture.framed:
        raise RequestError(
            f"{type(mode.network).__name__} reads one prompt for a whole clip, so a prompt cannot turn into another",
            "take a model whose frames look at the words each alone",
        )
    projection = getattr(mode.network, "caption_projection", None)
    ready = spoken.to(words.device, words.dtype)
    ready = ready if projection is None else projection(ready)
    own = iter(ready if ready.dim() == 4 else itertools.repeat(ready))
    parts = words.reshape(len(mode.rows), -1, *words.shape[1:])
    return torch.stack([next(own) if on else part for on, part in zip(mode.rows, parts, strict=True)]).flatten(0, 1)
