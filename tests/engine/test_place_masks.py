"""Boxes on latents of every size, and phrases among tokens."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.models.training.captions import make_tokenizer
from sfumato.place.box import Box
from sfumato.place.masks import bump, check_size, coverage, latent_boxes, over_time
from sfumato.place.phrases import slots_of, trailing_slots, words_slots

parts = st.floats(0, 1)
sizes = st.integers(1, 72)


@given(parts, parts, st.floats(0.001, 1), st.floats(0.001, 1), sizes, sizes)
def test_a_mask_s_sum_is_the_area_of_the_box_on_every_grid(left, top, wide, high, height, width):
    box = Box(left, top, left + wide, top + high)
    inside = box.inside()
    area = inside.area if inside else 0.0
    assert float(coverage(box, height, width).sum()) == pytest.approx(area * height * width, abs=1e-4 * height * width)


@pytest.mark.parametrize("size", [(40, 72), (17, 31), (1, 1), (9, 5)])
def test_a_box_of_one_place_is_that_place(size):
    height, width = size
    box = Box((width - 1) / width, 0, 1, 1 / height)
    mask = coverage(box, height, width)
    assert float(mask[0, -1]) == pytest.approx(1)
    assert float(mask.sum()) == pytest.approx(1)


def test_a_small_box_does_not_vanish_on_a_coarse_grid():
    assert float(coverage(Box(0.42, 0.42, 0.52, 0.52), 5, 9).sum()) == pytest.approx(0.01 * 45)


def test_a_bump_is_highest_at_its_box_s_centre_and_as_wide_as_the_box():
    found = bump(Box(0.25, 0.25, 0.75, 0.5), 64, 64)
    row, column = divmod(int(found.argmax()), 64)
    assert abs(row - 23.5) <= 0.5
    assert abs(column - 31.5) <= 0.5
    assert float(found[23:25, 16].mean()) == pytest.approx(torch.exp(torch.tensor(-0.5)).item(), abs=0.02)


def test_masks_are_kept_and_not_made_twice():
    box = Box(0.1, 0.2, 0.3, 0.4)
    assert coverage(box, 8, 8) is coverage(box, 8, 8)


def test_a_compressed_latent_s_frame_stands_for_the_boxes_of_its_frames():
    boxes = [Box(i / 20, 0, i / 20 + 0.1, 1) for i in range(9)]
    assert latent_boxes(boxes, 9) == [[box] for box in boxes]
    assert latent_boxes(boxes, 3) == [boxes[:1], boxes[1:5], boxes[5:]]
    assert latent_boxes(boxes[:8], 4, alone=False) == [boxes[:2], boxes[2:4], boxes[4:6], boxes[6:8]]
    masks, bumps = over_time(latent_boxes(boxes, 3), 4, 20)
    assert float(masks[1].sum()) == pytest.approx(4 * 5, abs=1e-3)  # from .05 to .30
    assert bumps.shape == masks.shape == (3, 4, 20)
    with pytest.raises(RequestError, match="9 frames do not go into 4 frames of latent"):
        latent_boxes(boxes, 4)


def test_frames_without_a_box_have_empty_masks():
    masks, _ = over_time(latent_boxes([None, Box(0, 0, 1, 1)], 2), 2, 2)
    assert masks.sum((1, 2)).tolist() == [0, 4]


def test_a_box_that_is_next_to_nothing_at_latent_size_is_named():
    with pytest.raises(RequestError, match=r"box of “ball” \(0.5,0.5,0.51,0.51\) is empty on the model's 8 x 8 places"):
        check_size("ball", [[Box(0.5, 0.5, 0.51, 0.51)]], 8, 8)
    check_size("ball", [[Box(0.5, 0.5, 0.51, 0.51)], [Box(0, 0, 1, 1)]], 8, 8)


def tokens_of(prompt, count=24):
    tokenizer = make_tokenizer()
    filled = tokenizer(prompt, padding="max_length", max_length=count, truncation=True, return_offsets_mapping=True)
    return [(prompt[a:b], a, b) for a, b in filled["offset_mapping"]]


def subwords(prompt, size=3):
    """Pieces of at most `size` letters: a tokenizer that cuts every word."""
    found, here = [("", 0, 0)], 0
    while here < len(prompt):
        if prompt[here].isspace():
            here += 1
            continue
        end = here + 1
        while end < min(here + size, len(prompt)) and not prompt[end].isspace():
            end += 1
        found.append((prompt[here:end], here, end))
        here = end
    return found + [("", 0, 0)] * 4


def test_a_phrase_s_slots_are_those_whose_text_is_its_own():
    prompt = "a red ball and a blue box on sand"
    tokens = tokens_of(prompt)
    assert [tokens[s][0] for s in slots_of("blue box", prompt, tokens)] == ["blue", "box"]


@given(st.integers(1, 6), st.sampled_from(["hot-air balloon", "cat", "white dog", "naïve café", "7 o'clock"]))
def test_subwords_of_any_size_make_up_the_phrase(size, phrase):
    prompt = f"one {phrase}, seen from afar; a concat and dogs"
    tokens = subwords(prompt, size)
    text = "".join(tokens[s][0] for s in slots_of(phrase, prompt, tokens))
    assert text.startswith(phrase.replace(" ", ""))
    assert len(text) < len(phrase) + size


def test_a_phrase_beyond_what_the_model_reads_is_named():
    prompt = "a red ball and a blue box on sand"
    with pytest.raises(RequestError, match="does not read as far as “blue box”"):
        slots_of("blue box", prompt, tokens_of(prompt, 6))
    with pytest.raises(RequestError, match="“green box” is not in the prompt"):
        slots_of("green box", prompt, tokens_of(prompt))


def test_trailing_slots_begin_after_the_last_word_and_end_with_the_context():
    tokens = tokens_of("a red ball", 8)
    assert words_slots(tokens) == (1, 2, 3)
    assert trailing_slots(tokens, 2) == (4, 5)
    assert trailing_slots(tokens, 99) == (4, 5, 6, 7)
