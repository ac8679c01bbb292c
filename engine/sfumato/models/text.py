"""Prompts as tokens in slots, and the text encoders that read them."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.diffusion.protocols import Context
from sfumato.models.load_folder import Folder

Tokens = list[tuple[str, int, int]]


@dataclass(frozen=True)
class Slots:
    """A tokenizer and how many tokens its encoder has room for.

    lower: The encoder is shown lower case only, whatever its tokenizer would do.
    """

    tokenizer: Any
    count: int
    lower: bool = False

    def fill(self, prompt: str) -> Any:
        """The tokenizer's answer for one prompt: every slot filled, what does not fit cut off."""
        return self.tokenizer(
            prompt.lower() if self.lower else prompt,
            padding="max_length",
            max_length=self.count,
            truncation=True,
            return_attention_mask=True,
            return_offsets_mapping=True,
        )

    def tokens(self, prompt: str) -> Tokens:
        """See `Model.tokens`."""
        filled = self.fill(prompt)
        pieces = self.tokenizer.convert_ids_to_tokens(filled["input_ids"])
        spans = zip(pieces, filled["offset_mapping"], strict=True)
        # T5's sign for a space alone, before a word it has to spell, claims the word's first letter
        return [(prompt[a:b], a, b) if b > a and piece != "▁" else ("", 0, 0) for piece, (a, b) in spans]

    def unknown(self, prompt: str) -> list[str]:
        """See `Model.unknown`."""
        filled = self.fill(prompt)
        spans = zip(filled["input_ids"], filled["offset_mapping"], strict=True)
        return [prompt[a:b] for number, (a, b) in spans if b > a and number == self.tokenizer.unk_token_id]

    def cut(self, prompt: str) -> str:
        """See `Model.cut`. A word that was only half read counts as cut."""
        words = self.tokenizer(prompt, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        kept, end = (max((b for _, b in row), default=0) for row in (self.fill(prompt)["offset_mapping"], words))
        if kept >= end:
            return ""
        begun = re.search(r"\w+\Z", prompt[:kept]) if re.match(r"\w", prompt[kept:]) else None
        return prompt[begun.start() if begun else kept :].strip()


class Worded(ABC):
    """An embedder by what it makes of one prompt, and by the slots in which the prompt's words stand."""

    @property
    @abstractmethod
    def slots(self) -> Slots:
        """Of the encoder that reads most of a prompt."""

    @abstractmethod
    def one(self, prompt: str) -> Context:
        """The context of one prompt, one row."""

    def __call__(self, prompts: list[str]) -> Context:
        """See `Embedder`. Each is made alone: a prompt has the same bits whatever stands beside it."""
        made = {prompt: self.one(prompt) for prompt in dict.fromkeys(prompts)}
        return Context.cat([made[prompt] for prompt in prompts])

    def tokens(self, prompt: str) -> Tokens:
        """See `Model.tokens`."""
        return self.slots.tokens(prompt)

    def cut(self, prompt: str) -> str:
        """See `Model.cut`."""
        return self.slots.cut(prompt)

    def unknown(self, prompt: str) -> list[str]:
        """See `Model.unknown`."""
        return self.slots.unknown(prompt)


@dataclass(frozen=True)
class Encoder:
    """A text encoder and its slots."""

    slots: Slots
    network: Any

    def __call__(self, prompt: str, masked: bool = False) -> tuple[Any, Tensor]:
        """What the network makes of one prompt, all layers, and its mask (1, T), bool.

        masked: The network itself does not look at empty slots.
        """
        filled = self.slots.fill(prompt)
        device = self.network.device
        ids, mask = (torch.tensor([filled[name]], device=device) for name in ("input_ids", "attention_mask"))
        more = {"attention_mask": mask} if masked else {}
        return self.network(ids, output_hidden_states=True, **more), mask.bool()


def clip_encoder(folder: Folder, number: str = "", projected: bool = False) -> Encoder:
    """The CLIP encoder of text_encoder{number} and tokenizer{number}.

    projected: It ends in the projection that makes one vector of a prompt.
    """
    tokenizer = folder.tokenizer(f"tokenizer{number}")
    network = folder.network(f"text_encoder{number}", "CLIPTextModelWithProjection" if projected else "CLIPTextModel")
    count = min(tokenizer.model_max_length, network.config.max_position_embeddings)
    return Encoder(Slots(tokenizer, count), network)


def t5_encoder(folder: Folder, count: int, number: str = "", lower: bool = False) -> Encoder:
    """The T5 encoder of text_encoder{number} and tokenizer{number}, given `count` slots, or as many as it has."""
    tokenizer = folder.tokenizer(f"tokenizer{number}")
    slots = Slots(tokenizer, min(count, tokenizer.model_max_length), lower)
    return Encoder(slots, folder.network(f"text_encoder{number}", "T5EncoderModel"))
