"""Being told when a network's attentions run: hooks that threads share and the last user takes off."""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


@dataclass
class _Users:
    count: int = 0
    handles: list[RemovableHandle] = field(default_factory=list)


class AttentionHooks:
    """Hooks of one kind. They know nothing of anyone's request: what they call looks that up for its own thread.

    Args:
        attentions: Those of a network, name and module.
        entering: For a name, what is called before the module with it, its arguments and keywords, as torch's
            forward pre-hooks are. Keywords may be missing where another thread takes the hooks off just then.
        leaving: Called after it with the module, its arguments and its answer.
        always: Whether `leaving` is called too where the module raised.
    """

    def __init__(
        self,
        attentions: Callable[[nn.Module], list[tuple[str, nn.Module]]],
        entering: Callable[[str], Callable[..., Any]],
        leaving: Callable[[Any, Any, Any], None],
        always: bool = False,
    ) -> None:
        self._attentions, self._entering, self._leaving, self._always = attentions, entering, leaving, always
        self._of: weakref.WeakKeyDictionary[nn.Module, _Users] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    @contextmanager
    def on(self, network: nn.Module) -> Iterator[None]:
        """Within it the network's attentions say when they run."""
        with self._lock:
            users = self._of.setdefault(network, _Users())
            if not users.count:
                for name, module in self._attentions(network):
                    users.handles.append(module.register_forward_pre_hook(self._entering(name), with_kwargs=True))
                    users.handles.append(module.register_forward_hook(self._leaving, always_call=self._always))
            users.count += 1
        try:
            yield
        finally:
            with self._lock:
                users.count -= 1
                if not users.count:
                    for handle in users.handles:
                        handle.remove()
                    users.handles.clear()
