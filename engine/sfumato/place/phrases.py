"""Where a phrase stands among a prompt's tokens, by the tokenizer's own offsets; words are never counted."""

import re
from collections.abc import Sequence
from typing import Any

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


def read_slowly(tokenizer: Any, prompt: str, count: int) -> list[tuple[str, int, int]]:
    """`Model.tokens` for a tokenizer that tells no offsets: its pieces are found in the prompt one after another.

    Args:
        tokenizer: Of transformers, slow or fast.
        prompt: What it reads.
        count: Slots to fill.

    Returns:
        Text, start and end for each slot. A piece that is not in the prompt as written (accents taken off, an unknown
        word) ends where the next one found begins.
    """
    numbers = tokenizer(prompt, padding="max_length", max_length=count, truncation=True)["input_ids"]
    special, lower = set(tokenizer.all_special_ids), prompt.casefold()
    if len(lower) != len(prompt):
        lower = prompt  # folding changed lengths (ß): compare as written
    found: list[tuple[str, int, int]] = []
    here = 0
    for number, piece in zip(numbers, tokenizer.convert_ids_to_tokens(numbers), strict=True):
        text = _plain(piece)
        if (number in special and number != tokenizer.unk_token_id) or not text:
            found.append(("", 0, 0))
            continue
        while here < len(prompt) and prompt[here].isspace():
            here += 1
        start = lower.find(text.casefold(), here)
        start, end = (start, start + len(text)) if start >= 0 else (here, _word_end(prompt, here))
        found.append((prompt[start:end], start, end))
        here = end
    return found


def _plain(piece: str) -> str:
    """A token's text without the signs tokenizers put where words begin, end or go on."""
    for sign in ("</w>", "▁", "Ġ"):
        piece = piece.replace(sign, "")
    return piece.removeprefix("##").removesuffix("@@")


def _word_end(prompt: str, start: int) -> int:
    """Where a word ends, or a mark: what a tokenizer takes for unknown is one or the other."""
    found = re.compile(r"\w+|[^\w\s]").match(prompt, start)
    return found.end() if found else start
