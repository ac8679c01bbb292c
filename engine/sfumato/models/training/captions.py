"""Words for scenes, and the tokenizer that knows them."""

import random
from typing import Any

from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES, Scene, Thing

NOUNS = {
    "ball": ("ball", "sphere"),
    "box": ("box", "cube"),
    "cone": ("cone", "pyramid"),
    "ring": ("ring", "hoop"),
    "cross": ("cross", "plus"),
}
PREFIXES = ("a photo of", "a picture of")
SIDES = ("left", "right", "top", "bottom")
SLOTS = 24  # tokens a prompt has room for
_OTHER = ("a", "an", "the", "and", "on", "of", "at", "in", "above", "below", "small", "large", "striped", ",")
_SMALL, _LARGE = 0.3, 0.48


def caption(scene: Scene, rng: random.Random) -> str:
    """What a person might type to get this scene. Where things are is rarely said: boxes are there for that."""
    named = rng.sample(scene.things, len(scene.things))
    words = [_phrase(t, rng) for t in named]
    relation = _relation(named, rng)
    side = _side(named[0]) if len(named) == 1 and rng.random() < 0.15 else ""
    if relation:
        text = f"{words[0]} {relation} {words[1]}"
    else:
        text = ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0] + side
    if rng.random() < 0.85:
        text += f" on {rng.choice(('', 'the '))}{scene.ground}"
    return f"{rng.choice(PREFIXES)} {text}" if rng.random() < 0.12 else text


def make_tokenizer() -> Any:
    """The tokenizer, as transformers knows them: one token a word, lower case, padded to SLOTS.

    Words it does not know become `<unknown>`.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ("<pad>", "<start>", "<end>", "<unknown>")
    nouns = [noun for shape in SHAPES for noun in NOUNS[shape]]
    words = sorted({*COLOURS, *GROUNDS, *nouns, *_OTHER, *SIDES, *" ".join(PREFIXES).split()})
    known = {word: number for number, word in enumerate((*special, *words))}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unknown>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<start>",
        eos_token="<end>",
        unk_token="<unknown>",
        model_max_length=SLOTS,
        padding_side="right",
    )


def _phrase(thing: Thing, rng: random.Random) -> str:
    words = [thing.colour, rng.choice(NOUNS[thing.shape]) if rng.random() < 0.35 else NOUNS[thing.shape][0]]
    if thing.striped:
        words.insert(0, "striped")
    if rng.random() < 0.5:
        words = [*(["small"] if thing.size < _SMALL else ["large"] if thing.size > _LARGE else []), *words]
    article = "the" if rng.random() < 0.1 else "an" if words[0][0] in "aeiou" else "a"
    return " ".join([article, *words])


def _relation(things: list[Thing], rng: random.Random) -> str:
    if len(things) != 2 or rng.random() > 0.2:
        return ""
    dx, dy = things[1].x - things[0].x, things[1].y - things[0].y
    if abs(dx) > abs(dy):
        return "left of" if dx > 0 else "right of"
    return "above" if dy > 0 else "below"


def _side(thing: Thing) -> str:
    far = {"left": 0.5 - thing.x, "right": thing.x - 0.5, "top": 0.5 - thing.y, "bottom": thing.y - 0.5}
    side = max(far, key=lambda name: far[name])
    return f" at the {side}" if far[side] > 0.12 else ""
