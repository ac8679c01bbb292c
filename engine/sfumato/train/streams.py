"""What flows through a stack of blocks, among all else that they are called with and answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

States = tuple[Tensor, ...]


@dataclass(frozen=True)
class Streams:
    """What flows through a block.

    given: Where it is among the arguments: positions or names. answered: Which element of a tuple each is in the
    answer; () where the answer is the one stream itself.
    """

    given: tuple[int | str, ...] = (0,)
    answered: tuple[int, ...] = ()

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> States:
        """The streams among the arguments of a call."""
        return tuple(args[where] if isinstance(where, int) else kwargs[where] for where in self.given)

    def put(self, args: Sequence[Any], kwargs: Mapping[str, Any], states: States) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with other streams in them."""
        positional, named = list(args), dict(kwargs)
        for where, state in zip(self.given, states, strict=True):
            if isinstance(where, int):
                positional[where] = state
            else:
                named[where] = state
        return positional, named

    def read(self, answer: Any) -> States:
        """The streams in a block's answer."""
        return tuple(answer[number] for number in self.answered) if self.answered else (answer,)

    def write(self, states: States) -> Any:
        """An answer with these streams."""
        if not self.answered:
            return states[0]
        return tuple(states[self.answered.index(number)] for number in range(len(states)))


class Arguments:
    """The arguments of a call, with its streams and its tensors taken out."""

    def __init__(self, streams: Streams, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.streams = streams
        empty = tuple(None for _ in streams.given)
        leaves, self.form = tree_flatten(streams.put(args, kwargs, empty))  # type: ignore[arg-type]
        self.leaves = leaves
        self.places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.tensors = [leaves[i] for i in self.places]

    def filled(self, states: States, tensors: Sequence[Tensor]) -> tuple[list[Any], dict[str, Any]]:
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = tree_unflatten(leaves, self.form)
        return self.streams.put(args, kwargs, states)

    def args(self, states: States) -> list[Any]:
        return self.filled(states, self.tensors)[0]

    def kwargs(self, states: States) -> dict[str, Any]:
        return self.filled(states, self.tensors)[1]

    def call(self, block: nn.Module, states: States, tensors: Sequence[Tensor]) -> States:
        args, kwargs = self.filled(states, tensors)
        return self.streams.read(block(*args, **kwargs))


def run_plainly(blocks: Sequence[nn.Module], streams: Streams, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The blocks one after another, as a network's own loop runs them."""
    answer = None
    positional, named = list(args), dict(kwargs)
    for block in blocks:
        answer = block(*positional, **named)
        positional, named = streams.put(positional, named, streams.read(answer))
    return answer
