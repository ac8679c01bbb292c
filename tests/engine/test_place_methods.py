"""Every method at work on the embedded model: what each does to a walk, and what none may do."""

import pytest
import torch

from sfumato.errors import RequestError
from sfumato.models.load import load_model
from sfumato.place.box import Box
from sfumato.place.calibration import Calibration
from sfumato.place.cast import Actor, Cast, make_cast
from sfumato.place.directed_diffusion_online import target
from sfumato.place.director import Scene
from sfumato.place.methods import METHODS
from sfumato.place.noise import flowing
from sfumato.place.peers_gradient import spread
from sfumato.place.precise import Fast, apart
from sfumato.place.render import place
from sfumato.place.request import Request
from sfumato.place.sites import Site
from sfumato.place.staging import Staging, Subject, one_still
from sfumato.place.track import BoxTrack, Curve
from sfumato.place.window import active, log_snr, until_part

BALL = [("red ball", Box(0.5, 0.4, 0.95, 0.85))]


@pytest.fixture(scope="module")
def model():
    return load_model()


def render(model, method, boxes=BALL, prompt="a red ball on snow", **more):
    return place(model, Request(one_still(prompt, boxes), method=method, **{"steps": 6, "seed": 3} | more))


@pytest.mark.parametrize("method", [m for m in METHODS if m != "none"])
def test_every_method_changes_the_picture_and_does_so_twice_the_same(model, method):
    plain, first, second = (render(model, m) for m in ("none", method, method))
    assert first.pictures.shape == (1, 3, *model.size)
    assert bool(first.latent.isfinite().all())
    assert not torch.equal(plain.latent, first.latent)
    assert torch.equal(first.latent, second.latent)


@pytest.mark.parametrize("method", list(METHODS))
def test_at_strength_nothing_the_picture_is_the_unplaced_one_to_the_bit(model, method):
    assert torch.equal(render(model, method, strength=0.0).latent, render(model, "none").latent)


def test_fast_costs_no_call_more_and_precise_one_for_each_level_at_which_maps_show_things(model):
    calls = {m: render(model, m).calls for m in ("none", "fast", "precise")}
    assert calls["fast"] == calls["none"] == 6
    levels = [log_snr(node) for node in model.grid(6).nodes[1:]]
    assert calls["precise"] == 6 + sum(Calibration().early <= level <= Calibration().late for level in levels)


def test_a_method_that_does_not_exist_and_a_strength_out_of_range_are_named(model):
    with pytest.raises(RequestError, match="no method of placement is called magic"):
        render(model, "magic")
    with pytest.raises(RequestError, match=r"strength is 1\.5"):
        Request(one_still("a red ball", BALL), strength=1.5)
    with pytest.raises(RequestError, match="is empty on the model's 8 x 8 places"):
        render(model, "fast", [("red ball", Box(0.5, 0.5, 0.505, 0.505))])
    with pytest.raises(RequestError, match="multiples of 4"):
        render(model, "fast", size=(33, 32))


def test_several_frames_of_a_model_of_stills_share_their_noise_and_follow_their_boxes(model):
    left, right = Box(0, 0.3, 0.4, 0.7), Box(0.6, 0.3, 1, 0.7)
    subject = Subject("ball", ("red ball",), BoxTrack.baked(1, [left, left, right]))
    staging = Staging(((1, "a red ball on snow"),), (subject,), 1, 3)
    found = place(model, Request(staging, method="fast", steps=6), measure=lambda picture, phrases: [left])
    assert torch.equal(found.pictures[0], found.pictures[1])
    assert not torch.equal(found.pictures[0], found.pictures[2])
    assert found.ious() == [[1.0], [1.0], [0.0]]


def test_an_object_half_outside_is_asked_for_where_it_is_in_the_picture(model):
    found = render(model, "fast", [("red ball", Box(-0.3, 0.2, 0.3, 0.8))])
    assert found.asked == ((Box(0, 0.2, 0.3, 0.8),),)


def test_a_wide_picture_is_placed_too(model):
    assert render(model, "precise", size=(32, 64)).pictures.shape == (1, 3, 32, 64)


def test_the_window_is_in_noise_not_in_steps(model):
    for steps in (10, 40):
        grid = model.grid(steps)
        edited = [[active(node, until) for node in grid.nodes[1:]] for until in (until_part(grid, 0.5), 0.0)]
        assert sum(edited[0]) == steps / 2
        assert sum(edited[1]) == pytest.approx(steps / 2, abs=1)
    assert active(grid.nodes[-1], log_snr(grid.nodes[-1]))
    assert not active(grid.nodes[-1], log_snr(grid.nodes[-1]) - 1e-6)


HALVES = (Box(0, 0, 0.5, 1), Box(0.25, 0, 1, 1))


def two(depths=(0.0, 1.0), boxes=HALVES):
    actors = tuple(
        Actor(str(i), ((i + 1,),), ((box,),), (depth,), (1.0,))
        for i, (box, depth) in enumerate(zip(boxes, depths, strict=True))
    )
    return Cast(actors, 1, ((1, 2, 3),))


def test_where_boxes_overlap_the_nearer_object_has_the_place():
    near, far = two().regions(4, 4).shown
    assert torch.equal(near[0, 0], torch.tensor([1.0, 1, 0, 0]))
    assert torch.equal(far[0, 0], torch.tensor([0.0, 0, 1, 1]))
    near, far = two(depths=(1.0, 0.0)).regions(4, 4).shown
    assert torch.equal(near[0, 0], torch.tensor([1.0, 0, 0, 0]))
    assert torch.equal(far[0, 0], torch.tensor([0.0, 1, 1, 1]))


def test_a_box_smaller_than_a_place_still_has_its_best_place_whole():
    cast = two(boxes=(Box(0.3, 0.3, 0.4, 0.4), Box(0.9, 0.9, 1, 1)))
    assert cast.regions(2, 2).shown.amax((2, 3)).tolist() == [[1.0], [1.0]]


def test_a_fast_bias_lifts_an_object_s_words_in_its_box_and_nowhere_else():
    from sfumato.place.bias import Biased

    bias = Biased(two(), 1.0, Calibration(up=4, down=8, clear=2)).bias(Site("x", "cross", 1, 4, 4, 5))
    assert bias.shape == (1, 16, 5)
    rows = bias[0].reshape(4, 4, 5)[0]
    assert rows[:2, 1].tolist() == [4, 4]
    assert rows[2:, 1].tolist() == [-8, -8]
    assert rows[:2, 2].tolist() == [-8, -8]
    assert rows[:, 3].tolist() == [-2] * 4  # a word of the ground, kept out of boxes
    assert rows[:, 4].tolist() == [0] * 4  # padding
    assert Biased(two(), 0.0).bias(Site("x", "cross", 1, 4, 4, 5)) is None


def test_words_are_lifted_only_while_there_is_much_noise_and_kept_out_for_longer(model):
    site, grid = Site("x", "cross", 1, 4, 4, 5), model.grid(24)
    settings = Calibration(up=4, down=8, window=0.0, lifts=-2.5)
    fast = Fast(Scene(two(), grid, 1.0, settings, (), (1, 4, 4), 0, None))
    seen = set()
    for node in grid.nodes[1:]:
        steer = fast.steer(node)
        highest = None if steer is None else float(steer.bias(site).max())
        assert highest == (4 if log_snr(node) <= -2.5 else 0 if log_snr(node) <= 0 else None)
        assert steer is None or float(steer.bias(site).min()) == -8
        seen.add(highest)
    assert seen == {4, 0, None}


def test_spread_is_nothing_when_all_attention_is_in_the_boxes_and_one_when_none_is():
    cast, site = two(), Site("x", "cross", 1, 4, 4, 5)
    shown = cast.regions(4, 4).shown.flatten(2)
    maps = torch.zeros(1, 1, 2, 16, 5)
    for number, mask in enumerate(shown):
        maps[..., number + 1] = mask[None, :, None]
    assert float(spread(cast, site, maps)) == pytest.approx(0)
    assert float(spread(cast, site, maps[..., [0, 2, 1, 3, 4]])) == pytest.approx(1)


def test_what_is_apart_from_a_box_is_nothing_where_rows_and_columns_hold_enough_even_with_empty_corners():
    cast, site = two(boxes=(Box(0, 0, 0.75, 0.75), Box(0.75, 0, 1, 1))), Site("x", "cross", 1, 4, 4, 5)
    maps = torch.zeros(1, 1, 2, 4, 4, 5)
    maps[..., 0, 1, 1] = maps[..., 1, :3, 1] = maps[..., 2, 1, 1] = 0.2  # a cross: no corners
    maps[..., :, 3, 2] = 0.1
    assert float(apart(cast, site, maps.flatten(3, 4))) == pytest.approx(0)
    maps[..., 0, 1, 1] = 0.13  # it ends in a tip
    assert float(apart(cast, site, maps.flatten(3, 4))) == pytest.approx(0)
    maps[..., 0, 1, 1] = 0.065  # too thin: half of what is enough in one row
    assert float(apart(cast, site, maps.flatten(3, 4))) == pytest.approx((0.5**2 / 4) / 2)
    maps[..., 0, 1, 1], maps[..., 3, 3, 1] = 0.2, 0.2  # some of it is elsewhere: a row and a column too many
    assert float(apart(cast, site, maps.flatten(3, 4))) == pytest.approx((0.9**2 / 4 + 0.9**2 / 4) / 2)


def test_only_attentions_that_show_things_are_looked_at_and_the_rest_of_the_network_is_not_run(model):
    ran = []
    hook = model.network.proj_out.register_forward_hook(lambda *_: ran.append(1))
    request = Request(one_still("a red ball on snow", BALL), steps=6, seed=3)
    found = place(model, request, calibration=Calibration(shows=("transformer_blocks.0.",), rounds=3))
    hook.remove()
    levels = sum(Calibration().early <= log_snr(node) <= Calibration().late for node in model.grid(6).nodes[1:])
    assert found.calls == 6 + 3 * levels
    assert len(ran) == 6 + 1  # the first pass finds out how many there are; later ones end with the last of them


def test_v3_s_target_changes_an_object_s_own_words_only():
    cast, site = two(), Site("x", "cross", 1, 4, 4, 5)
    maps = torch.rand(1, 1, 2, 16, 5)
    found = target(cast, site, maps, 0.1, 0.001)
    assert found.shape == (2, *maps.shape)
    assert torch.equal(found[0][..., [0, 2, 3, 4]], maps[..., [0, 2, 3, 4]])
    masks, _, bumps = (x.flatten(2)[0, 0] for x in cast.regions(4, 4))
    by_hand = maps[..., 1] * (masks + 0.001 * (1 - masks)) + 0.1 * bumps * masks
    assert torch.allclose(found[0][..., 1], by_hand)


def test_flowing_noise_keeps_its_variance_and_is_alike_along_the_path():
    path = [Box(i / 16, 0.25, i / 16 + 0.5, 0.75) for i in range(8)]
    cast = Cast((Actor("a", ((1,),) * 8, tuple((b,) for b in path), (0.0,) * 8, (1.0,) * 8),), 8, ((1,),) * 8)

    def alike(z):  # in low frequencies, which are those that flow
        patches = (z[0, :, 0, 4:12, 0:8], z[0, :, 7, 4:12, 7:15])
        coarse = torch.stack([torch.nn.functional.avg_pool2d(patch, 4).flatten() for patch in patches])
        return float(torch.corrcoef(coarse)[0, 1])

    before, after = [], []
    for seed in range(12):
        noise = torch.randn(1, 16, 8, 16, 16, generator=torch.Generator().manual_seed(seed))
        found = flowing(noise, cast, seed)
        assert float(found.std()) == pytest.approx(float(noise.std()), rel=1e-4)
        assert float(found.var((0, 1, 2)).mean()) == pytest.approx(1, abs=0.05)
        before.append(alike(noise))
        after.append(alike(found))
    assert abs(sum(before) / 12) < 0.06
    assert sum(after) / 12 > 0.12
    assert torch.equal(flowing(noise[:, :, :1], cast, 1), noise[:, :, :1])


def test_slots_of_a_changing_prompt_are_those_of_both_around_a_frame():
    subject = Subject("pet", ("cat", "big dog"), BoxTrack.still(Box(0, 0, 1, 1)), Curve.level(0))
    staging = Staging(((1, "a cat"), (3, "a big dog")), (subject,), 1, 3)

    def read(prompt):
        words, at = [("", 0, 0)], 0
        for word in prompt.split():
            at = prompt.index(word, at)
            words.append((word, at, at + len(word)))
        return words

    assert make_cast(staging, 1, 3, read, (3, 4, 4)).actors[0].slots == ((2,), (2, 3), (2, 3))
    assert make_cast(staging, 1, 1, read, (1, 4, 4)).actors[0].slots == ((2,),)
