"""Answers of a network, kept while a frame is in flight: a run that was killed asks again only what it had not kept.

The walk is worked out anew from them, so its states, hashes and pictures are the same bits, whoever made the calls.
"""

from __future__ import annotations

import hashlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from sfumato_plugins.store import FolderStore

if TYPE_CHECKING:
    from torch import Tensor

EVERY = 20.0  # seconds between two times that answers are written: less than a killed run may lose


class Kept:
    """A denoiser that remembers; `sfumato.diffusion.protocols.Denoiser`.

    frame: Whose answers they are; the store's name for them ends with it.
    remembered: How many calls an earlier run had made.
    """

    def __init__(self, denoiser: Any, store: FolderStore | None, frame: int) -> None:
        self._denoiser, self._store, self._frame = denoiser, store, frame
        self._known = self._read()
        self._calls = 0
        self._saved = len(self._known)
        self._fresh: list[tuple[bytes, Tensor]] = []
        self._at = time.monotonic()
        self.remembered = 0

    @property
    def prediction(self) -> Any:
        return self._denoiser.prediction

    def __getattr__(self, name: str) -> Any:
        """`told`, of networks that are told a weight (`protocols.Distilled`); nothing else is asked of a denoiser."""
        inner = getattr(self._denoiser, name)
        return (lambda weight: partial(self._answer, inner(weight))) if name == "told" else inner

    def __call__(self, latent: Any, node: Any, context: Any) -> Any:
        """The network's answer, or the one it gave to the same question in an earlier run."""
        return self._answer(self._denoiser, latent, node, context)

    def _answer(self, denoiser: Any, latent: Any, node: Any, context: Any) -> Any:
        at, question = self._calls, _question(latent, node, context)
        self._calls += 1
        if at < len(self._known) and self._known[at][0] == question:
            self.remembered += 1
            return self._known[at][1].to(latent.device)
        del self._known[at:]  # another question than before: what came after it is worth nothing
        answer = denoiser(latent, node, context)
        self._fresh.append((question, answer))
        if time.monotonic() - self._at > EVERY:
            self._write()
        return answer

    def _name(self, first: int) -> str:
        return f"answers.{first}.of-{self._frame}"

    def _read(self) -> list[tuple[bytes, Tensor]]:
        found: list[tuple[bytes, Tensor]] = []
        while self._store is not None and (kept := self._store.get(self._name(len(found)))):
            found += [(bytes(kept[f"{i}.question"].tolist()), kept[f"{i}.answer"]) for i in range(len(kept) // 2)]
        return found

    def _write(self) -> None:
        import torch

        if self._store is not None and self._fresh:
            parts = {f"{i}.answer": answer for i, (_, answer) in enumerate(self._fresh)}
            parts |= {f"{i}.question": torch.tensor(list(q), dtype=torch.uint8) for i, (q, _) in enumerate(self._fresh)}
            self._store.put(self._name(self._calls - len(self._fresh)), parts)
        self._fresh, self._at = [], time.monotonic()


def _question(latent: Any, node: Any, context: Any) -> bytes:
    """Stands for all that the network is asked."""
    import torch

    digest = hashlib.blake2b(f"{node.time!r} {tuple(latent.shape)}".encode(), digest_size=16)
    for part in (latent, *context):
        if part is not None:
            digest.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()
