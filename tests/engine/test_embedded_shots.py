"""The clips that the model of shots learned from, and its networks before they learned."""

from itertools import islice

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")

from sfumato.models.load_files import EMBEDDED
from sfumato.models.training.carry import carried_codec
from sfumato.models.training.clips import clips
from sfumato.models.training.network import Design, Networks
from sfumato.models.training.shots import ShotNetworks, drawn_frames, shot_batches
from sfumato.models.training.train import Training
from sfumato.place.box import Box
from sfumato.place.detect import measure

SMALL = Design(32, width=32, heads=2, depth=2, words=32, layers=1, near=True)


def test_the_same_seed_gives_the_same_clips():
    assert list(islice(clips(3), 5)) == list(islice(clips(3), 5))
    assert list(islice(clips(3), 5)) != list(islice(clips(4), 5))


def test_things_of_clips_move_grow_turn_and_leave():
    drawn = list(islice(clips(5), 300))
    first, last = ([clip.scenes[frame].things[0] for clip in drawn] for frame in (0, -1))
    assert all(len(clip.scenes) == 8 for clip in drawn)
    assert sum((a.x, a.y) != (b.x, b.y) for a, b in zip(first, last, strict=True)) > 100
    assert sum(a.size != b.size for a, b in zip(first, last, strict=True)) > 40
    assert sum(t.bounds[0] > 1 or t.bounds[2] < 0 for t in first + last) > 20
    turning = [clip for clip in drawn if clip.turned != clip.scenes]
    assert 30 < len(turning) < 90
    for clip in turning:
        colours = [{t.colour for t in scenes[0].things} for scenes in clip]
        assert len(colours[0] - colours[1]) == len(colours[1] - colours[0]) == 1


def test_where_things_of_clips_are_has_nothing_to_do_with_the_middle():
    things = [scene.things[0] for clip in islice(clips(6), 400) for scene in clip.scenes]
    inside = [t for t in things if min(t.bounds) >= 0 and max(t.bounds) <= 1]
    free = torch.tensor([[(t.x - t.halves[0]) / (1 - 2 * t.halves[0]) for t in inside]])
    assert free.histc(4, 0, 1).min() > 0.15 * free.numel()


def test_a_turning_thing_has_its_first_colour_in_the_first_frame_and_its_second_in_the_last():
    clip = next(c for c in clips(7) if c.turned != c.scenes and len(c.scenes[0].things) == 1 and inside(c))
    pictures, covers = drawn_frames([clip], 64)
    assert pictures.shape == (8, 3, 64, 64)
    assert covers.shape == (8, 64, 64)
    for frame, scenes in ((0, clip.scenes), (7, clip.turned)):
        thing = scenes[frame].things[0]
        (found,) = measure(pictures[frame], [f"{thing.colour} {thing.shape}"])
        assert found is not None
        assert found.iou(Box(*thing.bounds)) > 0.9


def inside(clip):
    return all(min(scene.things[0].bounds) > 0 and max(scene.things[0].bounds) < 1 for scene in clip.scenes)


def test_inflated_networks_draw_every_frame_as_the_networks_of_stills_do_under_that_frames_words():
    stills = Networks(2, SMALL)
    for weight in stills.parameters():  # so that no answer is 0, as it is before training
        torch.nn.init.normal_(weight, std=0.1)
    shots = ShotNetworks(stills, 4).eval()
    with torch.no_grad():  # what has no counterpart in stills
        bias = shots.transformer.transformer_blocks[1].attn2.to_out[0].bias
        bias += shots.transformer.temp_pos_embed[0].mean(0)
        shots.transformer.temp_pos_embed.zero_()
        latent = torch.randn(2, 8, 4, 8, 8)
        ids, mask = torch.randint(4, 20, (2, 2, 24)), torch.ones(2, 24, dtype=torch.long)
        made = shots(latent, torch.tensor([500.0, 300.0]), ids, mask)
        for frame, prompt in ((0, 0), (3, 1)):
            still = stills.eval()(latent[:, :, frame], torch.tensor([500.0, 300.0]), ids[:, prompt], mask)
            assert still.abs().max() > 0.01
            torch.testing.assert_close(made[:, :, frame], still, rtol=1e-3, atol=1e-4)


def test_a_training_step_sees_the_same_clips_whether_or_not_it_was_resumed():
    networks = ShotNetworks(Networks(2, SMALL), 4)
    training = Training(steps=3, batch=2, seed=4)
    codec = carried_codec(EMBEDDED)
    whole, resumed = list(shot_batches(training, networks, codec, 0)), list(shot_batches(training, networks, codec, 2))
    assert len(whole) == 3
    assert len(resumed) == 1
    for a, b in zip(whole[2], resumed[0], strict=True):
        assert torch.equal(a, b)
    codes, weight, _, levels, ids, mask = resumed[0]
    assert codes.shape == (2, 8, 4, 8, 8)
    assert weight.shape == (2, 1, 4, 8, 8)
    assert levels.shape == (3, 2)
    assert ids.shape == (2, 2, 24)
    assert mask.shape == (2, 24)
