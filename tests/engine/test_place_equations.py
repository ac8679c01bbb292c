"""Directed Diffusion v1 and TrailBlazer, each against loops written from the papers and from what the programs do."""

import math
import random

import pytest
import torch

from sfumato.errors import RequestError
from sfumato.place.box import Box
from sfumato.place.directed_diffusion import edited_v1, noise_levels
from sfumato.place.trailblazer import (
    composed_coded,
    composed_published,
    keyframes_coded,
    spatial_coded,
    spatial_published,
    temporal_coded,
    temporal_published,
)

CASES = range(32)
EXACT = 1e-6


def sizes(rng):
    return rng.choice([(8, 8), (5, 9), (9, 5), (1, 7), (6, 1), (10, 16), (3, 3)])


def some_box(rng, height, width, kind):
    """Any; of one place; or all but the whole frame, so that two of them overlap."""
    if kind == "one":
        x, y = rng.randrange(width), rng.randrange(height)
        return Box(x / width, y / height, (x + 1) / width, (y + 1) / height)
    if kind == "large":
        return Box(rng.uniform(0, 0.2), rng.uniform(0, 0.2), rng.uniform(0.8, 1), rng.uniform(0.8, 1))
    left, top = rng.uniform(0, 0.7), rng.uniform(0, 0.7)
    return Box(left, top, left + rng.uniform(0.05, 1 - left), top + rng.uniform(0.05, 1 - top))


def kinds(case):
    return ("any", "one", "large")[case % 3]


def attention(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(-1)


def steps_between(low, high, count):
    """`count` numbers from low to high, both among them; low alone for one."""
    return [low + (high - low) * i / (count - 1) for i in range(count)] if count > 1 else [low]


# Directed Diffusion v1


def v1_by_loops(maps, regions, gains, level):
    heads, height, width, slots = maps.shape
    value = {index: float(maps[index]) for index in _every(heads, height, width, slots)}
    passed = {index: False for index in _every(height, width, slots)}
    for (box, chosen), gain in zip(regions, gains, strict=True):
        left, right = int(box.left * width), int(box.right * width)
        top, bottom = int(box.top * height), int(box.bottom * height)
        high, wide = bottom - top, right - left
        ys, xs = steps_between(0, high, high), steps_between(0, wide, wide)
        for h, y, x, k in _every(heads, height, width, slots):
            if k in chosen and top <= y < bottom and left <= x < right:
                dy, dx = ys[y - top] - int(high / 2), xs[x - left] - int(wide / 2)
                sy, sx = high / 2, wide / 2
                bell = math.exp(-(dy**2 / (2 * sy**2) + dx**2 / (2 * sx**2))) / (2 * math.pi * sx * sy)
                value[h, y, x, k] = value[h, y, x, k] * gain * level + bell
        for y, x, k in _every(height, width, slots):
            if k in chosen:
                row, column = top <= y < bottom, left <= x < right
                passed[y, x, k] = (passed[y, x, k] or (row and column)) and (row or column)
    out = torch.empty_like(maps)
    for h, y, x, k in _every(heads, height, width, slots):
        out[h, y, x, k] = value[h, y, x, k] * (1.0 if passed[y, x, k] else 0.01)
    return out


def _every(*counts):
    if not counts:
        yield ()
        return
    for first in range(counts[0]):
        for rest in _every(*counts[1:]):
            yield (first, *rest)


@pytest.mark.parametrize("case", CASES)
def test_directed_diffusion_as_released_equals_its_loops(case):
    rng = random.Random(case)
    height, width = sizes(rng)
    maps = attention(case, 2, height, width, 7)
    trailing = [5, 6]
    regions = [(some_box(rng, height, width, kinds(case)), [1, *trailing])]
    if case % 2:
        regions.append((some_box(rng, height, width, "any"), [2, 3, *trailing]))
    gains = [rng.choice([1.0, 1.5, 2.5, 5.0]) for _ in regions]
    level = rng.choice(noise_levels(5))
    expected = v1_by_loops(maps, regions, gains, level)
    error = (edited_v1(maps, regions, gains, level) - expected).abs()
    assert float((error / expected.abs().clamp(min=1)).max()) <= EXACT  # values reach s L = 45


def test_the_released_mask_fades_slots_that_are_nobody_s_everywhere():
    maps = attention(0, 2, 4, 4, 6)
    found = edited_v1(maps, [(Box(0, 0, 0.5, 0.5), [1])], [1.0], 9.0)
    assert torch.allclose(found[..., 3], maps[..., 3] * 0.01)


def test_noise_levels_fall_from_nine_to_nothing():
    assert noise_levels(4) == [9, 6, 3, 0]
    assert noise_levels(1) == [0]


# TrailBlazer in space


def published_span(box, height, width):
    wide = min(math.ceil((box.right - box.left) * width - 1e-6), width)
    high = min(math.ceil((box.bottom - box.top) * height - 1e-6), height)
    left = min(math.floor(box.left * width + 1e-6), width - wide)
    top = min(math.floor(box.top * height + 1e-6), height - high)
    return left, top, left + wide, top + high


def published_bell(y, x, span):
    left, top, right, bottom = span
    dy, dx = y - (top + bottom - 1) / 2, x - (left + right - 1) / 2
    sy, sx = (bottom - top) / 2, (right - left) / 2
    return math.exp(-(dy**2 / (2 * sy**2) + dx**2 / (2 * sx**2)))


def coded_span(box, height, width):
    left, right = int((box.left + 0.01) * width), int((box.right - 0.01) * width)
    top, bottom = int((box.top + 0.01) * height), int((box.bottom - 0.01) * height)
    return left, top, right, bottom


def coded_bells(span):
    """Place -> window, largest 1; nothing where the box has no whole place."""
    left, top, right, bottom = span
    high, wide = bottom - top, right - left
    ys, xs = steps_between(0, high, high), steps_between(0, wide, wide)
    raw = {
        (top + i, left + j): math.exp(
            -((y - int(high / 2)) ** 2 / (2 * (high / 3) ** 2) + (x - int(wide / 2)) ** 2 / (2 * (wide / 3) ** 2))
        )
        for i, y in enumerate(ys[:high])
        for j, x in enumerate(xs[:wide])
        if high > 0 and wide > 0
    }
    most = max(raw.values(), default=1)
    return {place: bell / most for place, bell in raw.items()}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("coded", [False, True], ids=["published", "coded"])
def test_trailblazer_in_space_equals_its_loops(case, coded):
    rng = random.Random(100 + case)
    height, width = sizes(rng)
    maps = attention(case, 3, 2, height, width, 6)  # frames, heads
    boxes = [some_box(rng, height, width, kinds(case)) for _ in range(3)]
    chosen, strong, weak = [1, 2, 4], rng.choice([0.1, 0.3]), rng.choice([0.001, 0.05])
    most, expected = float(maps.max()), maps.clone()
    for f, h, y, x, k in _every(*maps.shape):
        if k not in chosen:
            continue
        if coded:
            added = most * coded_bells(coded_span(boxes[f], height, width)).get((y, x), 0.0)
            factor = 1.0 if added else weak
        else:
            span = published_span(boxes[f], height, width)
            inside = span[0] <= x < span[2] and span[1] <= y < span[3]
            added, factor = (published_bell(y, x, span), 1.0) if inside else (0.0, weak)
        expected[f, h, y, x, k] = abs(float(maps[f, h, y, x, k]) * factor + strong * added)
    edit = spatial_coded if coded else spatial_published
    assert float((edit(maps, boxes, chosen, strong, weak) - expected).abs().max()) <= EXACT


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("coded", [False, True], ids=["published", "coded"])
def test_trailblazer_in_time_equals_its_loops(case, coded):
    rng = random.Random(200 + case)
    height, width = sizes(rng)
    frames = rng.choice([2, 4])
    maps = attention(case, 2, height, width, frames, frames)
    boxes = [some_box(rng, height, width, kinds(case)) for _ in range(frames)]
    strong, weak, most = rng.choice([0.1, 0.3]), rng.choice([0.001, 0.05]), float(maps.max())
    expected = maps.clone()
    for h, y, x, i, j in _every(*maps.shape):
        d = abs(i - j) / frames
        if coded:
            laid = 0.0
            for frame in (i, j):
                bells = coded_bells(coded_span(boxes[frame], height, width))
                if (y, x) in bells:
                    laid = (bells[y, x] - 1) * most * d + bells[y, x] * most * (1 - d)
            factor = weak if laid == 0 else 1.0
            expected[h, y, x, i, j] = abs(float(maps[h, y, x, i, j]) * factor + strong * laid)
        else:
            span = published_span(boxes[i], height, width)
            inside = span[0] <= x < span[2] and span[1] <= y < span[3]
            added = strong * ((1 - d) - d) * published_bell(y, x, span) if inside else 0.0
            expected[h, y, x, i, j] = float(maps[h, y, x, i, j]) * (1.0 if inside else weak) + added
    edit = temporal_coded if coded else temporal_published
    assert float((edit(maps, boxes, strong, weak) - expected).abs().max()) <= EXACT


def test_as_coded_a_frame_s_edit_depends_on_the_other_frames_and_as_published_it_does_not():
    maps, box = attention(1, 2, 2, 6, 6, 5), Box(0.2, 0.2, 0.8, 0.8)
    maps[1, 0, 0, 0] = torch.tensor([1.0, 0, 0, 0, 0])
    both, alone = (spatial_coded(m, [box] * len(m), [1]) for m in (maps, maps[:1]))
    assert not torch.allclose(both[0], alone[0])
    both, alone = (spatial_published(m, [box] * len(m), [1]) for m in (maps, maps[:1]))
    assert torch.equal(both[0], alone[0])


def test_as_coded_a_small_box_erases_its_words_on_a_coarse_grid():
    maps = attention(2, 1, 2, 5, 9, 4)
    found = spatial_coded(maps, [Box(0.45, 0.45, 0.55, 0.55)], [1])
    assert torch.allclose(found[..., 1], maps[..., 1] * 0.001)


# keyframes and compositing


@pytest.mark.parametrize("case", CASES)
def test_keyframes_as_coded_repeat_the_box_after_a_key(case):
    rng = random.Random(case)
    frames = [0, *sorted(rng.sample(range(2, 30, 3), 3))]
    keys = [(f, some_box(rng, 8, 8, "any")) for f in frames]
    found = keyframes_coded(keys)
    assert len(found) == frames[-1] + 1
    for a, (frame, box) in enumerate(keys):
        assert found[frame].iou(box) == pytest.approx(1)
        if 0 < a < len(keys) - 1:
            assert found[frame + 1].iou(box) == pytest.approx(1)
    (a, start), (b, end) = keys[1], keys[2]
    for f in range(a + 1, b + 1):
        part = (f - a - 1) / (b - a - 1)
        assert found[f].left == pytest.approx(start.left + part * (end.left - start.left))


def test_adjacent_keys_are_refused_where_the_released_program_divides_by_zero():
    box = Box(0, 0, 0.5, 0.5)
    with pytest.raises(RequestError, match="keys 3 and 4 are one frame apart"):
        keyframes_coded([(0, box), (3, box), (4, box)])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("coded", [False, True], ids=["published", "coded"])
def test_composing_subjects_equals_its_loops(case, coded):
    rng = random.Random(300 + case)
    height, width = sizes(rng)
    generator = torch.Generator().manual_seed(case)
    latent, *alone = torch.randn(3, 1, 2, 2, height, width, generator=generator)
    step, steps = rng.randrange(20), 20
    subjects = [(one, [some_box(rng, height, width, kinds(case)) for _ in range(2)]) for one in alone]
    weight, expected = step / steps, torch.empty_like(latent)
    for c, f, y, x in _every(2, 2, height, width):
        z, values = float(latent[0, c, f, y, x]), []
        for one, boxes in subjects:
            if coded:
                left, top, right, bottom = coded_span(boxes[f], width, width)
                left, top, right, bottom = int(left - 0.1), int(top - 0.1), int(right + 0.1), int(bottom + 0.1)
            else:
                left, top, right, bottom = published_span(boxes[f], height, width)
            inside = left <= x < right and top <= y < bottom
            values.append(weight * z + (1 - weight) * float(one[0, c, f, y, x]) if inside else z)
        if coded:
            inside = [value for value in values if value != z]
            expected[0, c, f, y, x] = inside[-1] if inside else z
        else:
            expected[0, c, f, y, x] = sum(values) / len(values)
    compose = composed_coded if coded else composed_published
    assert float((compose(latent, subjects, step, steps) - expected).abs().max()) <= EXACT
