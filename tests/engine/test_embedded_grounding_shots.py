"""What teaches the words of the embedded model of shots to look where their things are, in every frame."""

from itertools import islice

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")

from sfumato.models.load_files import EMBEDDED
from sfumato.models.training.carry import carried_codec, carried_shots
from sfumato.models.training.clips import clips
from sfumato.models.training.grounding import BLOCKS, grounded_error
from sfumato.models.training.grounding_shots import GroundedShots, clip_places, grounded_shot_batches
from sfumato.models.training.network import COARSE, Design, Networks
from sfumato.models.training.shots import ShotNetworks, shot_batches
from sfumato.models.training.train import Training, worded
from sfumato.place.box import Box
from sfumato.place.masks import coverage

SMALL = Design(32, width=32, heads=2, depth=5, words=32, layers=1, near=True)
TRAINING = Training(steps=1, batch=2, seed=9)


def test_each_frame_has_the_boxes_of_its_own_things_and_the_words_of_its_clip():
    drawn = list(islice(clips(31), 6))
    ids, _ = worded(Training(dropped=0.0), [clip.scenes[4] for clip in drawn], 3)
    places, words = clip_places(drawn, ids, 8)
    assert len(places) == len(words) == 6 * 8
    for number, clip in enumerate(drawn):
        for frame, scene in enumerate(clip.scenes):
            for which, thing in enumerate(scene.things):
                row = places[number * 8 + frame, which]
                assert torch.equal(row.view(8, 8), coverage(Box(*thing.bounds), 8, 8))
                assert words[number * 8 + frame, which].sum() == 2


def test_maps_of_every_frame_are_seen_in_training_alone_and_change_no_answer():
    stills = Networks(design=SMALL)
    networks, plain = GroundedShots(stills), ShotNetworks(stills)
    plain.load_state_dict(networks.state_dict())
    batch, places, words = next(grounded_shot_batches(TRAINING, networks, carried_codec(EMBEDDED), 0))
    assert all(
        torch.equal(a, b)
        for a, b in zip(batch, next(shot_batches(TRAINING, networks, carried_codec(EMBEDDED), 0)), strict=True)
    )
    given = batch[0], batch[3][0], *batch[4:]
    v, maps = networks.train()(*given)
    assert maps.shape == (2 * 8, len(BLOCKS), 64, words.shape[-1])
    assert places.shape[::2] == (2 * 8, 64)
    assert torch.equal(plain.eval()(*given), v)
    assert torch.equal(networks.eval()(*given), v)
    grounded_error(networks.train(), batch, places, words).backward()
    assert networks.transformer.transformer_blocks[BLOCKS[0]].attn2.to_q.weight.grad is not None


def test_a_training_goes_on_from_the_weights_that_a_folder_of_shots_holds():
    from diffusers import LatteTransformer3DModel

    folder = EMBEDDED.with_name("embedded_trail")
    networks = carried_shots(folder, COARSE)
    held = LatteTransformer3DModel.from_pretrained(folder / "transformer").state_dict()
    found = networks.transformer.state_dict()
    assert found.keys() == held.keys()
    assert all(torch.equal(found[name], weight.float()) for name, weight in held.items())
