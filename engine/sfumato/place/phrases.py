"""Where a phrase stands among a prompt's tokens, by the tokenizer's own offsets; words are never counted."""

from collections.abc import Sequence

from sfumato.errors import RequestError
from sfumato.place.staging import occurrences

Tokens = Sequence[tuple[str, int, int]]
"""Text, start and end in the prompt of the token in each slot; ("", 0, 0) for start, end and padding."""


def slots_of(phrase: str, prompt: str, tokens: Tokens) -> tuple[int, ...]:
    """The slots in which a phrase stands in a prompt, all occurrences of it; sub-words, marks and case do not matter.

    Raises:
        RequestError: the prompt has no such phrase, or the model never reads that far.
    """
    places = occurrences(phrase, prompt)
    if not places:
        raise RequestError(f"“{phrase}” is not in the prompt “{prompt}”", "a box goes with words of the prompt")
    found = tuple(
        slot
        for slot, (text, start, end) in enumerate(tokens)
        if text.strip() and any(start < after and end > before for before, after in places)
    )
    if not found:
        raise RequestError(
            f"the model does not read as far as “{phrase}” in the prompt “{prompt}”", "put it nearer the beginning"
        )
    return found


def trailing_slots(tokens: Tokens, count: int) -> tuple[int, ...]:
    """The `count` slots after the last word, the end token's first: what the papers call trailing.

    They carry the prompt only where padding is shown to the network (CLIP of Stable Diffusion 1 and 2).
    """
    last = max((slot for slot, (_, start, end) in enumerate(tokens) if end > start), default=0)
    return tuple(range(last + 1, min(last + 1 + count, len(tokens))))


def words_slots(tokens: Tokens) -> tuple[int, ...]:
    """All slots in which a word of the prompt stands."""
    return tuple(slot for slot, (_, start, end) in enumerate(tokens) if end > start)
