"""What teaches the embedded model's words to look where their things are."""

from itertools import islice

import pytest
import torch

pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")

from sfumato.models.load_files import EMBEDDED
from sfumato.models.training.carry import carried_codec
from sfumato.models.training.grounding import BLOCKS, Grounded, grounded_batches, grounded_error, grounding, named
from sfumato.models.training.network import Design, Networks
from sfumato.models.training.placement import placed_scenes
from sfumato.models.training.train import Training, batches, worded

SMALL = Design(32, width=32, heads=2, depth=5, words=32, layers=1, near=True)
TRAINING = Training(steps=2, batch=6, seed=7)


def drawn():
    return next(grounded_batches(TRAINING, SMALL, carried_codec(EMBEDDED), placed_scenes))


def test_every_thing_a_prompt_mentions_is_named_by_its_colour_and_its_noun():
    scenes = list(islice(placed_scenes(11), 40))
    ids, _ = worded(Training(dropped=0.0), scenes, 3)
    words = named(scenes, ids, 3)
    for scene, row in zip(scenes, words, strict=True):
        assert row.sum(-1).tolist() == [2.0] * len(scene.things) + [0.0] * (3 - len(scene.things))
        assert row.amax() <= 1
        assert row.sum(0).amax() <= 1  # no slot names two
    nothing, _ = worded(Training(dropped=1.0), scenes, 3)
    assert not named(scenes, nothing, 3).any()


def test_maps_where_things_are_cost_least():
    _, places, words = drawn()
    things = words.sum(-1) > 0
    truth = torch.einsum("btp,btk->bpk", places, words)
    best = grounding(truth.unsqueeze(1).expand(-1, len(BLOCKS), -1, -1), places, words)
    entropy = -(places / places.sum(-1, keepdim=True).clamp(min=1e-9)).xlogy(places / places.sum(-1, keepdim=True))
    assert float(best) == pytest.approx(float(entropy.nansum(-1)[things].mean()), rel=1e-3)
    flat = grounding(torch.full_like(truth, 0.1).unsqueeze(1), places, words)
    assert float(flat) == pytest.approx(torch.tensor(64.0).log().item(), rel=1e-3)
    elsewhere = grounding(truth.roll(32, 1).unsqueeze(1), places, words)
    assert float(best) < float(flat) < float(elsewhere)


def test_maps_are_seen_in_training_alone_and_change_no_answer():
    networks = Grounded(design=SMALL)
    plain = Networks(design=SMALL)
    with torch.no_grad():
        for weight in networks.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    plain.load_state_dict(networks.state_dict())
    (latent, _, _, levels, ids, mask), _, _ = drawn()
    v, maps = networks.train()(latent, levels[0], ids, mask)
    assert maps.shape == (6, len(BLOCKS), 64, ids.shape[1])
    assert torch.allclose(maps.sum(-1), torch.ones(()), atol=1e-5)
    assert torch.equal(networks.eval()(latent, levels[0], ids, mask), v)
    assert torch.equal(plain.eval()(latent, levels[0], ids, mask), v)


def test_a_step_along_the_error_makes_words_look_nearer_to_their_things():
    networks = Grounded(design=SMALL).train()
    with torch.no_grad():  # otherwise every block begins as nothing, and places as alike
        for weight in networks.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    batch, places, words = drawn()
    optimiser = torch.optim.Adam(networks.parameters(), 3e-3)

    def grounded():
        return float(grounding(networks(batch[0], batch[3][0], *batch[4:])[1].detach(), places, words))

    before = grounded()
    for _ in range(15):
        optimiser.zero_grad()
        grounded_error(networks, batch, places, words).backward()
        optimiser.step()
    assert grounded() < before - 0.02


def test_scenes_and_noises_are_those_of_a_training_without_grounding():
    batch, places, _ = drawn()
    plain = next(batches(TRAINING, SMALL, carried_codec(EMBEDDED), placed_scenes))
    assert all(torch.equal(a, b) for a, b in zip(batch, plain, strict=True))
    assert places.shape[-1] == 64
    assert float(places.amax()) <= 1
