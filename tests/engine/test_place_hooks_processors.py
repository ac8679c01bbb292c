"""Directing attention that diffusers computes otherwise: in slices, unfused, or to the pictures of an IP adapter."""

import pytest
import torch
from place_networks import WORDS, build, call, space_of
from place_steering import SLOTS, Seeing, fast, inputs

from sfumato.errors import RequestError
from sfumato.place.hooks import directed


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
