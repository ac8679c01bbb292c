"""One suite for every class of network: to the bit as it was while inactive, words in their boxes while directed."""

import threading

import pytest
import torch
from place_networks import NAMES, build, call, space_of
from place_steering import SLOTS, Seeing, fast, frames_of, inputs

from sfumato.errors import RequestError
from sfumato.place.hooks import Steer, directed
from sfumato.place.sites import Space


@pytest.fixture(scope="module")
def networks():
    return {}


@pytest.fixture(params=NAMES)
def named(request, networks):
    if request.param not in networks:
        networks[request.param] = build(request.param)
    return request.param, networks[request.param]


@torch.no_grad()
def test_a_steer_that_does_nothing_leaves_every_bit(named):
    name, network = named
    latent, words = inputs(name)
    plain = call(name, network, latent, words)
    with directed(network, space_of(name, latent, SLOTS), [False, True], Steer()):
        assert torch.equal(call(name, network, latent, words), plain)
    with directed(network, space_of(name, latent, SLOTS), [False, True], fast(frames_of(name, latent), 0.0)):
        assert torch.equal(call(name, network, latent, words), plain)
    assert torch.equal(call(name, network, latent, words), plain)


@torch.no_grad()
def test_directed_words_look_into_the_box_at_least_three_times_as_much(named):
    name, network = named
    latent, words = inputs(name)
    space, steer = space_of(name, latent, SLOTS), fast(frames_of(name, latent))
    free, put = Seeing(Steer()), Seeing(steer)
    for seeing in (free, put):
        with directed(network, space, [False, True], seeing):
            call(name, network, latent, words)
    assert free.mass
    assert free.mass.keys() == put.mass.keys()
    for site in free.mass:
        assert put.mass[site] >= 3 * free.mass[site]
        assert put.part[site] > 0.9


@torch.no_grad()
def test_rows_without_a_box_keep_the_answer_they_had(named):
    name, network = named
    latent, words = inputs(name)
    plain = call(name, network, latent, words)
    with directed(network, space_of(name, latent, SLOTS), [False, True], fast(frames_of(name, latent))):
        found = call(name, network, latent, words)
    assert torch.allclose(found[0], plain[0], atol=1e-5)
    assert not torch.allclose(found[1], plain[1], atol=1e-4)


@torch.no_grad()
def test_guidance_in_one_batch_and_in_two_calls_are_the_same(named):
    name, network = named
    latent, words = inputs(name)
    space, steer = space_of(name, latent, SLOTS), fast(frames_of(name, latent))
    with directed(network, space, [False, True], steer):
        both = call(name, network, latent, words)
    with directed(network, space, [True], steer):
        alone = call(name, network, latent[1:], words[1:])
    assert torch.allclose(both[1:], alone, atol=2e-5)


@torch.no_grad()
def test_the_fused_kernel_and_written_out_attention_agree(named):
    name, network = named
    latent, words = inputs(name)
    space, steer = space_of(name, latent, SLOTS), fast(frames_of(name, latent))
    with directed(network, space, [False, True], steer):
        fused = call(name, network, latent, words)
    with directed(network, space, [False, True], Seeing(steer)):
        written = call(name, network, latent, words)
    assert torch.allclose(fused, written, atol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", [(40, 72), (17, 31)])
def test_odd_sizes_and_a_single_frame_are_directed(named, size):
    name, network = named
    if name == "Flux" and size[0] % 2:
        with (
            pytest.raises(RequestError, match="does not divide into patches"),
            directed(network, Space(1, *size, SLOTS), [True], Steer()),
        ):
            pass
        return
    latent, words = inputs(name, size, frames=1, rows=1)
    put = Seeing(fast(1))
    with directed(network, space_of(name, latent, SLOTS), [True], put):
        call(name, network, latent, words)
    assert min(put.part.values()) > 0.85


@torch.no_grad()
def test_half_precision_is_directed(named):
    name, _ = named
    latent, words = inputs(name)
    half = build(name).to(torch.bfloat16)
    put = Seeing(fast(frames_of(name, latent)))
    with directed(half, space_of(name, latent, SLOTS), [False, True], put):
        found = call(name, half, latent.bfloat16(), words.bfloat16())
    assert found.dtype == torch.bfloat16
    assert bool(found.isfinite().all())
    assert min(put.part.values()) > 0.9


@torch.no_grad()
def test_an_error_inside_leaves_the_network_as_it_was(named):
    name, network = named
    latent, words = inputs(name)
    plain = call(name, network, latent, words)

    class Failing(Steer):
        def bias(self, site):
            raise KeyError("on purpose")

    hooks = sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in network.modules())
    with (
        pytest.raises(KeyError, match="on purpose"),
        directed(network, space_of(name, latent, SLOTS), [True, True], Failing()),
    ):
        call(name, network, latent, words)
    assert sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in network.modules()) == hooks
    assert torch.equal(call(name, network, latent, words), plain)


@torch.no_grad()
def test_another_thread_sees_nothing_of_it():
    network = build("PixArt")
    latent, words = inputs("PixArt")
    plain = call("PixArt", network, latent, words)
    inside, done, found = threading.Event(), threading.Event(), []

    def other():
        inside.wait(10)
        with torch.no_grad():
            found.append(call("PixArt", network, latent, words))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with directed(network, space_of("PixArt", latent, SLOTS), [False, True], fast(1)):
        inside.set()
        done.wait(10)
        call("PixArt", network, latent, words)
    thread.join()
    assert torch.equal(found[0], plain)


@torch.no_grad()
def test_a_network_or_size_that_cannot_be_directed_is_named():
    with (
        pytest.raises(RequestError, match="Linear is a network whose attention"),
        directed(torch.nn.Linear(1, 1), Space(1, 8, 8, SLOTS), [True], Steer()),
    ):
        pass
    network = build("PixArt")
    latent, words = inputs("PixArt")
    with (
        pytest.raises(RequestError, match="none of 1 x 5 x 5 places looked at 24 words"),
        directed(network, Space(1, 5, 5, SLOTS), [True, True], Steer()),
    ):
        call("PixArt", network, latent, words)
