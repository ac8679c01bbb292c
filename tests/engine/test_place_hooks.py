"""One suite for every class of network: to the bit as it was while inactive, words in their boxes while directed."""

import sys
import threading
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from place_networks import FRAMED, NAMES, WORDS, build, call, space_of

from sfumato.errors import RequestError
from sfumato.place.bias import Biased
from sfumato.place.box import Box
from sfumato.place.cast import Actor, Cast
from sfumato.place.each import Each
from sfumato.place.hooks import Steer, directed
from sfumato.place.keyed import Keyed
from sfumato.place.masks import coverage
from sfumato.place.sites import Space

SLOTS = 24
BOX = Box(0.5, 0.1, 0.9, 0.6)
DIRECTED = (3, 4)  # slots of the object's words


class Seeing(Steer):
    """Another steer, and how much of its words' attention falls into the box, attention by attention."""

    def __init__(self, inner):
        self.inner, self.mass, self.part, self.kinds = inner, {}, {}, set()

    def bias(self, site):
        self.kinds.add(site.kind)
        return self.inner.bias(site)

    def wants(self, site):
        return "maps" if site.kind in ("cross", "joint") else None

    def see(self, site, shown):
        assert shown.shape[1] == site.frames
        assert shown.shape[3:] == (site.height * site.width, SLOTS)
        words = shown[..., list(DIRECTED)].sum(-1).mean((0, 1, 2)).reshape(site.height, site.width)
        inside = coverage(BOX, site.height, site.width)
        self.mass[site.name] = float((words * inside).sum())
        self.part[site.name] = self.mass[site.name] / float(words.sum())


@pytest.fixture(scope="module")
def networks():
    return {}


@pytest.fixture(params=NAMES)
def named(request, networks):
    if request.param not in networks:
        networks[request.param] = build(request.param)
    return request.param, networks[request.param]


def inputs(name, size=(12, 16), frames=3, rows=2):
    generator = torch.Generator().manual_seed(1)
    shape = (rows, 4, frames, *size) if name in FRAMED else (rows, 4, *size)
    return torch.randn(shape, generator=generator), torch.randn(rows, SLOTS, WORDS, generator=generator)


def fast(frames, knob=1.0):
    always = (DIRECTED,) * frames
    return Biased(
        Cast((Actor("ball", always, ((BOX,),) * frames, (0.0,) * frames, (1.0,) * frames),), frames, always), knob
    )


def frames_of(name, latent):
    return latent.shape[2] if name in FRAMED else 1


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
@pytest.mark.parametrize("name", ["UNet3D", "UNetMotion", "Latte"])
def test_attention_over_time_is_told_from_attention_to_words(name):
    network = build(name)
    latent, words = inputs(name)
    kinds = {}

    class Noting(Steer):
        def bias(self, site):
            kinds.setdefault(site.kind, set()).add(site.name)

    with directed(network, space_of(name, latent, SLOTS), [False, True], Noting()):
        call(name, network, latent, words)
    assert kinds.keys() == {"cross", "self", "temporal"}
    assert all(any(part in n for part in ("temp", "motion", "transformer_in")) for n in kinds["temporal"])


@torch.no_grad()
@pytest.mark.parametrize("name", ["UNet3D", "UNetMotion", "Latte"])
def test_each_frame_may_have_words_of_its_own(name):
    network = build(name)
    latent, words = inputs(name, rows=1)
    other = torch.randn(1, SLOTS, WORDS, generator=torch.Generator().manual_seed(7))

    class Telling(Steer):
        def __init__(self, told):
            self.told = told

        def words(self):
            return self.told

    def answer(told):
        with directed(network, space_of(name, latent, SLOTS), [True], Telling(told)):
            return call(name, network, latent, words)

    plain, changed = call(name, network, latent, words), call(name, network, latent, other)
    assert torch.allclose(answer(words.expand(3, -1, -1)), plain, atol=1e-5)
    assert torch.allclose(answer(other.expand(3, -1, -1)), changed, atol=1e-5)
    mixed = answer(torch.cat([words, words, other]))
    assert not torch.allclose(mixed, plain, atol=1e-3)
    assert not torch.allclose(mixed, changed, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", ["UNet3D", "UNetMotion", "Latte"])
def test_rows_of_one_call_have_boxes_and_words_of_their_own(name):
    network = build(name)
    latent, words = inputs(name)
    told = torch.randn(2, 3, SLOTS, WORDS, generator=torch.Generator().manual_seed(7))
    steers = [Keyed(fast(3), told[0]), Keyed(fast(3, 0.3), told[1])]
    space = space_of(name, latent, SLOTS)
    with directed(network, space, [True, True], Each(steers)):
        together = call(name, network, latent, words)
    for row, steer in enumerate(steers):
        with directed(network, space, [True], steer):
            alone = call(name, network, latent[row : row + 1], words[row : row + 1])
        assert torch.allclose(together[row : row + 1], alone, atol=2e-5)


@torch.no_grad()
def test_a_model_that_reads_one_prompt_for_a_clip_refuses_a_prompt_for_each_frame():
    network = build("Wan")
    latent, words = inputs("Wan")

    class Telling(Steer):
        def words(self):
            return torch.zeros(3, SLOTS, WORDS)

    with (
        pytest.raises(RequestError, match="reads one prompt for a whole clip"),
        directed(network, space_of("Wan", latent, SLOTS), [True, True], Telling()),
    ):
        call("Wan", network, latent, words)


@torch.no_grad()
def test_sliced_and_unfused_attention_are_directed_the_same():
    from diffusers.models.attention_processor import AttnProcessor

    network = build("UNet2D")
    latent, words = inputs("UNet2D")
    space, steer = space_of("UNet2D", latent, SLOTS), fast(1)

    def answer():
        with directed(network, space, [False, True], steer):
            return call("UNet2D", network, latent, words)

    fused = answer()
    network.set_attn_processor(AttnProcessor())
    assert torch.allclose(answer(), fused, atol=2e-5)
    network.set_attention_slice(1)
    assert torch.allclose(answer(), fused, atol=2e-5)
    with (
        pytest.raises(RequestError, match="is computed in slices"),
        directed(network, space, [False, True], Seeing(steer)),
    ):
        call("UNet2D", network, latent, words)


@torch.no_grad()
def test_an_ip_adapter_s_pictures_are_left_alone():
    from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0

    network = build("UNet2D")
    latent, words = inputs("UNet2D")
    torch.manual_seed(3)
    processors = {}
    for name, old in network.attn_processors.items():
        width = network.get_submodule(name.removesuffix(".processor")).to_q.out_features
        new = IPAdapterAttnProcessor2_0(width, WORDS, num_tokens=(SLOTS,), scale=1.0)
        processors[name] = new if "attn2" in name else old
    network.set_attn_processor(processors)
    pictures = torch.randn(2, 1, SLOTS, WORDS)
    kept = network.attn_processors
    put = Seeing(fast(1))

    class Projected(torch.nn.Module):
        def forward(self, embeds):
            return embeds

    network.encoder_hid_proj = Projected()
    network.register_to_config(encoder_hid_dim_type="ip_image_proj")

    def answer(embeds):
        return network(
            latent, 500, encoder_hidden_states=words, added_cond_kwargs={"image_embeds": [embeds]}, return_dict=False
        )[0]

    with directed(network, space_of("UNet2D", latent, SLOTS), [False, True], put):
        first, second = answer(pictures), answer(pictures * 2)
    assert min(put.part.values()) > 0.9
    assert not torch.allclose(first, second, atol=1e-4)
    assert network.attn_processors.keys() == kept.keys()
    assert all(network.attn_processors[name] is kept[name] for name in kept)


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
