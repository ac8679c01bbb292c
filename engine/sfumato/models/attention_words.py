"""Which words of one prompt stand where in another: prompt-to-prompt's alignment, by the tokenizer's own offsets.

Words are never counted: a word may be three tokens, and the same word may be cut in two ways. What is compared is the
text between the offsets that the tokenizer gives, and every word keeps the slots it fills.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sfumato.errors import RequestError

Mode = Literal["replace", "refine", "reweight"]


class Prompt(NamedTuple):
    """A prompt and its tokens in slot order: text, start and end; ("", 0, 0) for start, end and padding."""

    text: str
    tokens: Sequence[tuple[str, int, int]]


class Word(NamedTuple):
    """A piece of a prompt without a space or mark in it, in lower case, and the slots of its tokens."""

    text: str
    slots: tuple[int, ...]


@dataclass(frozen=True)
class Alignment:
    """What the target's slots take from the source's, as a linear map of attention maps' last axis.

    shares: (S, T) float32, column t what of each source slot's attention goes to target slot t.
    own: (T,) bool, slots for which the source has nothing: they keep the target's own attention.
    factors: (T,) float32, what each slot's attention is then multiplied by.
    """

    shares: Tensor
    own: Tensor
    factors: Tensor

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        """Edited maps from maps (..., S) and (..., T), float32. Rows need not sum to 1, as in the paper."""
        shares, own, factors = (x.to(target.device) for x in (self.shares, self.own, self.factors))
        return torch.where(own, target, source @ shares) * factors


def align(
    source: Prompt, target: Prompt, mode: Mode, slots: tuple[int, int], weights: Mapping[str, float]
) -> Alignment:
    """Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", 2022, section 3.2.

    Equal words take the source's maps. A word in another's place takes the other's map in "replace", and keeps its own
    in "refine" and "reweight"; a word added keeps its own. The start, and what follows the last word, go by position.

    Args:
        source, target: The prompts.
        mode: How words in place of others are treated.
        slots: How many slots the maps have, S and T, padding included.
        weights: Factors of words or phrases of the target.

    Raises:
        RequestError: a weight of a word that the target does not have.
    """
    shares = torch.zeros(slots)
    ours, theirs = words(source), words(target)
    texts = [word.text for word in ours], [word.text for word in theirs]
    for kind, i, j, k, m in difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if kind == "equal" or (kind == "replace" and mode == "replace"):
            one_by_one = j - i == m - k
            for a, b in zip(ours[i:j], theirs[k:m], strict=True) if one_by_one else [_joined(ours[i:j], theirs[k:m])]:
                _spread(shares, a.slots, b.slots)
    for slot in range(min(_first(ours), _first(theirs))):
        shares[slot, slot] = 1
    after = _after(ours), _after(theirs)
    for slot in range(min(slots[0] - after[0], slots[1] - after[1])):
        shares[after[0] + slot, after[1] + slot] = 1
    return Alignment(shares, shares.sum(0) == 0, factors(target, weights, slots[1]))


def factors(prompt: Prompt, weights: Mapping[str, float], slots: int) -> Tensor:
    """A factor for every slot of a prompt, (slots,) float32: 1 but for the words and phrases named, wherever they are.

    Raises:
        RequestError: a word that the prompt does not have, or a weight that is no number.
    """
    found = torch.ones(slots)
    for phrase, weight in weights.items():
        if not math.isfinite(weight):
            raise RequestError(f"the weight of “{phrase}” is {weight}", "give a number; the paper's lie in -2 .. 2")
        places = list(re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", prompt.text, re.IGNORECASE))
        if not phrase.strip() or not places:
            raise RequestError(f"“{phrase}” has a weight, and is not in “{prompt.text}”", "name words of the target")
        for place in places:
            for slot, (_, start, end) in enumerate(prompt.tokens[:slots]):
                if start < place.end() and end > place.start():
                    found[slot] = weight
    return found


def words(prompt: Prompt) -> list[Word]:
    """The words of a prompt. Tokens belong together where letters or digits touch."""
    found: list[Word] = []
    last = -1  # where the token before ended
    for slot, (_, start, end) in enumerate(prompt.tokens):
        piece = prompt.text[start:end]
        begin, text = start + len(piece) - len(piece.lstrip()), piece.strip().casefold()
        if not text:
            continue
        if begin == last and text[0].isalnum() and prompt.text[begin - 1].isalnum():
            found[-1] = Word(found[-1].text + text, (*found[-1].slots, slot))
        else:
            found.append(Word(text, (slot,)))
        last = end
    return found


def _spread(shares: Tensor, source: Sequence[int], target: Sequence[int]) -> None:
    """Hand the attention of some slots to others, none lost: each is cut where the other row's slots begin and end."""
    n, m = len(source), len(target)
    for a, s in enumerate(source):
        for b, t in enumerate(target):
            if s < shares.shape[0] and t < shares.shape[1]:
                shares[s, t] = max(0.0, min((a + 1) / n, (b + 1) / m) - max(a / n, b / m)) * n


def _joined(*rows: Sequence[Word]) -> tuple[Word, ...]:
    return tuple(Word("", tuple(slot for word in row for slot in word.slots)) for row in rows)


def _first(row: Sequence[Word]) -> int:
    return row[0].slots[0] if row else 1


def _after(row: Sequence[Word]) -> int:
    return row[-1].slots[-1] + 1 if row else 1
