"""Attention with something added or changed, for some rows of a batch; the others keep the kernel's own bits."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from sfumato.place.sites import Architecture, Site

if TYPE_CHECKING:
    from sfumato.place.hooks import Steer


class Rows(NamedTuple):
    """Which rows of an attention are directed, and how theirs are laid out.

    site: The attention.
    picked: Indices of rows.
    rest: Those of the rows that are not directed.
    each: Rows of the attention for one of the latent: frames, places, or 1.
    text: Slots before the picture in a shared sequence, or -1 where they come after it, or 0.
    """

    site: Site
    picked: Tensor
    rest: Tensor
    each: int
    text: int

    @staticmethod
    @lru_cache(maxsize=512)
    def of(site: Site, architecture: Architecture, rows: tuple[bool, ...]) -> "Rows":
        """For rows of a latent. Kept: its tensors are not to be written to."""
        framed = site.frames if architecture.framed else 1
        each = site.height * site.width if site.kind == "temporal" else framed
        chosen = [r * each + i for r, on in enumerate(rows) if on for i in range(each)]
        text = 0 if site.kind != "joint" else site.slots if architecture.text == "first" else -1
        others = [r * each + i for r, on in enumerate(rows) if not on for i in range(each)]
        return Rows(site, torch.tensor(chosen), torch.tensor(others, dtype=torch.long), each, text)

    def mask(self, bias: Tensor, queries: int, keys: int) -> Tensor:
        """A bias as rows of attention have it: (picked, queries, keys), of one row of the latent or of each."""
        rows = len(self.picked)
        if self.site.kind != "joint":
            flat = bias.reshape(-1, queries, keys)
            return flat.repeat(rows // len(flat), 1, 1)
        flat = bias.reshape(-1, queries - self.site.slots, self.site.slots)
        full = bias.new_zeros(rows, queries, keys)
        self.block(full)[:] = flat.repeat(rows // len(flat), 1, 1)
        return full

    def block(self, scores: Tensor) -> Tensor:
        """The part of (..., queries, keys) where the picture asks the words; a view."""
        if self.site.kind != "joint":
            return scores
        slots = self.site.slots
        return scores[..., slots:, :slots] if self.text > 0 else scores[..., :-slots, -slots:]

    def shown(self, scores: Tensor) -> Tensor:
        """(picked, H, queries, keys) -> what a `Steer` sees."""
        site, block = self.site, self.block(scores)
        block = block.reshape(-1, self.each, *block.shape[1:])
        if site.kind in ("cross", "joint") and self.each == 1 and site.frames > 1:
            r, _, h, _, k = block.shape
            block = block.reshape(r, h, site.frames, -1, k).transpose(1, 2)
        return block

    def put(self, scores: Tensor, changed: Tensor) -> Tensor:
        """The inverse of `shown`: scores with the block changed."""
        site = self.site
        if site.kind in ("cross", "joint") and self.each == 1 and site.frames > 1:
            changed = changed.transpose(1, 2).flatten(2, 3)[:, None]
        flat = changed.flatten(0, 1)
        if site.kind != "joint":
            return flat
        full = scores.clone()
        self.block(full)[:] = flat
        return full


def biased(
    func: Any, where: Rows, bias: Tensor, query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]
) -> Tensor:
    """Fused attention with a bias for the rows picked."""
    picked = where.picked.to(query.device)
    mask = where.mask(bias.to(query.device), query.shape[-2], key.shape[-2]).to(query.dtype)[:, None]
    given = options.get("attn_mask")
    if given is not None and given.is_floating_point() and given.dim() == 4:  # a mask more changes no other row's bits
        whole = mask.new_zeros(len(query), *mask.shape[1:]).index_copy(0, picked, mask)
        answer: Tensor = func(query, key, value, **(options | {"attn_mask": whole + given}))
        return answer
    added = _together(mask, _rows(options.get("attn_mask"), picked, len(query)))
    new: Tensor = func(*(_taken(x, picked) for x in (query, key, value)), **(options | {"attn_mask": added}))
    return _joined(func, where, query, key, value, options, new)


def explicit(
    func: Any,
    where: Rows,
    bias: Tensor | None,
    steer: "Steer",
    wants: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: dict[str, Any],
) -> Tensor:
    """Attention written out for the rows picked, so that its scores or its maps can be seen and changed."""
    picked, scale = where.picked.to(query.device), options.get("scale")
    scores = _taken(query, picked).float() @ _taken(key, picked).float().transpose(-1, -2)
    scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
    mask = _rows(options.get("attn_mask"), picked, len(query))
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask.float()
    maps, changed = _steered(where, bias, steer, wants, scores)
    if not changed and bias is None:
        found: Tensor = func(query, key, value, **options)
        return found
    return _joined(func, where, query, key, value, options, maps.to(value.dtype) @ _taken(value, picked))


def softened(
    func: Any,
    where: Rows,
    bias: Tensor | None,
    steer: "Steer",
    wants: str | None,
    heads: int,
    first: int,
    args: tuple[Any, ...],
    given: dict[str, Any],
) -> Tensor:
    """A softmax over (rows heads, queries, keys), or over those from `first` on, with the rows picked steered."""
    scores: Tensor = args[0]
    directed = set(where.picked.tolist())
    rows = [(first + i) // heads for i in range(len(scores))]
    inside = torch.tensor([i for i, row in enumerate(rows) if row in directed], device=scores.device)
    plain: Tensor = func(*args, **given)
    if not len(inside):
        return plain
    if wants is None:
        assert bias is not None
        mask = where.mask(bias.to(scores.device), scores.shape[1], scores.shape[2])
        order = {row: i for i, row in enumerate(where.picked.tolist())}
        own = torch.tensor([order[rows[i]] for i in inside.tolist()], device=scores.device)
        new: Tensor = func(scores[inside] + mask[own].to(scores.dtype), *args[1:], **given)
    else:
        raw = scores[inside].reshape(-1, heads, *scores.shape[1:]).float()
        maps, changed = _steered(where, bias, steer, wants, raw)
        if not changed and bias is None:
            return plain
        new = maps.flatten(0, 1)
    return plain.index_copy(0, inside, new.to(plain.dtype))


def _steered(where: Rows, bias: Tensor | None, steer: "Steer", wants: str, scores: Tensor) -> tuple[Tensor, bool]:
    """Maps of the rows picked, and whether `see` changed them."""
    if bias is not None:
        mask = where.mask(bias.to(scores.device), scores.shape[-2], scores.shape[-1])
        scores = scores + mask[:, None]
    if wants == "scores":
        changed = steer.see(where.site, where.shown(scores))
        scores = scores if changed is None else where.put(scores, changed)
        return scores.softmax(-1), changed is not None
    maps = scores.softmax(-1)
    changed = steer.see(where.site, where.shown(maps))
    return (maps if changed is None else where.put(maps, changed)), changed is not None


def _joined(
    func: Any, where: Rows, query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any], new: Tensor
) -> Tensor:
    """The rows picked beside all others, which the kernel attends as ever."""
    rest = where.rest.to(query.device)
    if not len(rest):
        return new
    picked = where.picked.to(query.device)
    mask = _rows(options.get("attn_mask"), rest, len(query))
    others = func(*(_taken(x, rest) for x in (query, key, value)), **(options | {"attn_mask": mask}))
    out = new.new_empty(len(query), *new.shape[1:])
    return out.index_copy(0, rest, others).index_copy(0, picked, new.to(out.dtype))


def _taken(x: Tensor, rows: Tensor) -> Tensor:
    """Rows of x; a view where they lie together, as they do in guidance's batch."""
    first, last = int(rows[0]), int(rows[-1])
    return x[first : last + 1] if last - first + 1 == len(rows) else x[rows]


def _rows(mask: Tensor | None, picked: Tensor, count: int) -> Tensor | None:
    return mask[picked] if mask is not None and mask.dim() == 4 and len(mask) == count else mask


def _together(bias: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return bias
    return bias.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else bias + mask
