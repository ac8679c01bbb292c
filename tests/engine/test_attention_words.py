"""Words of two prompts find each other by where their tokens stand, whatever the tokenizer cuts them into."""

import re
from pathlib import Path

import pytest
import torch

from sfumato.errors import RequestError
from sfumato.models.attention_words import Alignment, Prompt, align, factors, words


def prompt(text: str, most: int = 99, slots: int = 16) -> Prompt:
    """Tokens of at most so many letters, a start, an end and padding: as tokenizers cut, with their offsets."""
    pieces = [
        (text[i : min(i + most, word.end())], i, min(i + most, word.end()))
        for word in re.finditer(r"\w+|[^\w\s]", text)
        for i in range(word.start(), word.end(), most)
    ]
    row = [("", 0, 0), *pieces, ("", 0, 0)]
    return Prompt(text, row + [("", 0, 0)] * (slots - len(row)))


def aligned(source: str, target: str, mode: str = "replace", most: int = 99, **weights: float) -> Alignment:
    return align(prompt(source, most), prompt(target, most), mode, (16, 16), weights)  # type: ignore[arg-type]


def takes(found: Alignment, slot: int) -> dict[int, float]:
    """What a target slot takes: source slots and shares."""
    return {s: float(x) for s, x in enumerate(found.shares[:, slot]) if x}


def test_a_prompt_beside_itself_takes_every_slot_from_itself() -> None:
    for mode in ("replace", "refine"):
        found = aligned("a red ball, on the left", "a red ball, on the left", mode)
        assert torch.equal(found.shares, torch.eye(16))
        assert not found.own.any()


def test_replace_gives_a_word_the_map_of_the_word_in_its_place_and_refine_does_not() -> None:
    assert takes(aligned("a red ball", "a blue ball"), 2) == {2: 1}
    refined = aligned("a red ball", "a blue ball", "refine")
    assert refined.own.tolist() == [False, False, True] + [False] * 13
    assert takes(refined, 3) == {3: 1}


def test_words_after_one_added_find_their_own_and_not_their_position() -> None:
    for mode in ("replace", "refine"):
        found = aligned("a ball on grass", "a shiny ball on wet grass", mode)
        assert [takes(found, slot) for slot in range(7)] == [{0: 1}, {1: 1}, {}, {2: 1}, {3: 1}, {}, {4: 1}]
        assert found.own.tolist()[:7] == [False, False, True, False, False, True, False]
        assert takes(found, 7) == {5: 1}  # the end token follows the words


def test_tokens_that_touch_are_one_word_however_it_is_cut() -> None:
    assert [w.text for w in words(prompt("A Lighthouse, by-the sea", 3))] == [
        "a",
        "lighthouse",
        ",",
        "by",
        "-",
        "the",
        "sea",
    ]
    assert words(prompt("A Lighthouse", 3))[1].slots == (2, 3, 4, 5)
    # "ball" is the first token of "balloon", and still another word
    found = aligned("red ball", "red balloon", "refine", most=4)
    assert found.own.tolist()[2:4] == [True, True]


def test_a_word_of_other_length_takes_the_place_with_no_attention_lost() -> None:
    found = aligned("one cat here", "one leopard here", most=3)
    assert [takes(found, slot) for slot in (2, 3, 4)] == [{2: pytest.approx(1 / 3)}] * 3
    back = aligned("one leopard here", "one cat here", most=3)
    assert takes(back, 2) == {2: 1, 3: 1, 4: 1}
    two = aligned("leopard", "zebras", most=4)  # two tokens for two
    assert [takes(two, slot) for slot in (1, 2)] == [{1: 1}, {2: 1}]
    uneven = aligned("leopard", "zebras", most=3)  # three for two
    assert takes(uneven, 1) == {1: 1, 2: pytest.approx(0.5)}


def test_several_words_for_one_share_its_attention() -> None:
    found = aligned("a dog runs", "a very small cat runs")
    assert float(found.shares[2].sum()) == pytest.approx(1)
    assert takes(found, 5) == {3: 1}


def test_maps_are_handed_over_and_weighed_as_the_paper_writes() -> None:
    found = aligned("a red ball", "a blue ball", "reweight", ball=3.0)
    source, target = torch.rand(2, 5, 16), torch.rand(2, 5, 16)
    edited = found(source, target)
    assert torch.equal(edited[..., 2], target[..., 2])
    torch.testing.assert_close(edited[..., 3], 3 * source[..., 3])
    torch.testing.assert_close(edited[..., 1], source[..., 1])


def test_a_phrase_is_weighed_wherever_it_stands_as_a_whole() -> None:
    text = prompt("a red ball and a Red ballpark, red  ball", 4)
    found = factors(text, {"red": 2.0, "ball": 0.5}, 16)
    pieces = [text.text[start:end].lower() for _, start, end in text.tokens]
    assert [p for p, x in zip(pieces, found.tolist(), strict=True) if x == 2] == ["red"] * 3
    assert [p for p, x in zip(pieces, found.tolist(), strict=True) if x == 0.5] == ["ball"] * 2
    phrase = factors(text, {"red ball": 2.0}, 16)
    assert int((phrase == 2).sum()) == 2


@pytest.mark.parametrize(("word", "weight"), [("cube", 2.0), ("all", 2.0), ("", 2.0), ("ball", float("nan"))])
def test_a_weight_for_nothing_is_refused_with_the_word(word: str, weight: float) -> None:
    with pytest.raises(RequestError, match=re.escape(f"“{word}”")):
        factors(prompt("a red ball"), {word: weight}, 16)


def test_slots_beyond_either_prompts_padding_keep_their_own() -> None:
    short, long = prompt("a red ball", slots=8), prompt("a red ball", slots=12)
    found = align(short, long, "replace", (8, 12), {})
    assert found.own.tolist() == [False] * 8 + [True] * 4
    assert align(long, short, "replace", (12, 8), {}).shares.sum(0).tolist() == [1] * 8


def test_stable_diffusions_tokenizer_is_aligned_by_its_offsets(data: Path) -> None:
    folder = data / "weights" / "sd1_tokenizer"
    if not folder.is_dir():
        pytest.skip(f"the tokenizer of Stable Diffusion 1 is not at {folder}")
    from transformers import CLIPTokenizer

    cutter = CLIPTokenizer.from_pretrained(folder, local_files_only=True)

    def cut(text: str) -> Prompt:
        found = cutter(text, padding="max_length", max_length=77, return_offsets_mapping=True)
        ids, places = found["input_ids"], found["offset_mapping"]
        return Prompt(text, [(cutter.decode(i), *place) for i, place in zip(ids, places, strict=True)])

    source, target = cut("a photo of a Capybara on the beach"), cut("a photo of a dachshund on the beach")
    ours, theirs = words(source), words(target)
    assert [len(w.slots) for w in (ours[4], theirs[4])] == [3, 1]
    found = align(source, target, "replace", (77, 77), {})
    assert takes(found, theirs[4].slots[0]) == dict.fromkeys(ours[4].slots, 1.0)
    assert takes(found, theirs[-1].slots[0]) == {ours[-1].slots[0]: 1}
    assert takes(found, theirs[-1].slots[0] + 1) == {ours[-1].slots[0] + 1: 1}  # the end
    assert found.own.tolist() == [False] * 75 + [True] * 2
