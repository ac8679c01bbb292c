"""One attention of diffusers', watched: the map it makes, the map it is given instead, and nothing else of it."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import RequestError
from sfumato.models.attention_maps import Layer, steerable, watched


class Looking(nn.Module):
    """A network that is one cross attention: four places, five words, three heads."""

    def __init__(self, processor: object) -> None:
        super().__init__()
        from diffusers.models.attention_processor import Attention

        self.look = Attention(6, cross_attention_dim=7, heads=3, dim_head=4, bias=True, processor=processor)

    def forward(self, places: Tensor, words: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.look(places, encoder_hidden_states=words, attention_mask=mask)


def processors() -> Iterator[object]:
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    yield from (AttnProcessor2_0(), AttnProcessor())


@pytest.fixture(params=[0, 1], ids=["fused", "unfused"])
def network(request: pytest.FixtureRequest) -> Looking:
    torch.manual_seed(0)
    return Looking(list(processors())[request.param]).eval().requires_grad_(False)


def inputs(rows: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Places, words, and a mask that hides the last word of every row but the first."""
    generator = torch.Generator().manual_seed(4)
    mask = torch.zeros(rows, 1, 5)
    mask[1:, :, -1] = -10000.0
    return torch.randn(rows, 4, 6, generator=generator), torch.randn(rows, 5, 7, generator=generator), mask


def by_hand(
    network: Looking, places: Tensor, words: Tensor, mask: Tensor, maps: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The paper's equation (1), M = softmax(Q K^T / sqrt(d)), and M V through the last projection; float64."""
    look = network.look.double()
    q, k, v = (
        f(x.double()).unflatten(-1, (3, 4)).transpose(1, 2)
        for f, x in ((look.to_q, places), (look.to_k, words), (look.to_v, words))
    )
    if maps is None:
        maps = (q @ k.transpose(-1, -2) / 2 + mask.double()[:, None]).softmax(-1)
    out = look.to_out[0]((maps.double() @ v).transpose(1, 2).flatten(2))
    network.look.float()
    return maps.float(), out.float()


def yes(layer: Layer) -> bool:
    return True


@pytest.mark.parametrize("masked", [False, True])
def test_the_map_seen_is_the_equations_and_the_answer_keeps_its_bits(network: Looking, masked: bool) -> None:
    places, words, mask = inputs()
    mask = mask if masked else torch.zeros_like(mask)
    plain = network(places, words, mask if masked else None)
    seen: list[tuple[Layer, Tensor]] = []
    with watched(network, 2, yes, lambda layer, maps: seen.append((layer, maps))):
        answer = network(places, words, mask if masked else None)
    assert torch.equal(answer, plain)
    ((layer, maps),) = seen
    assert layer == ("look", True, 4)
    wanted, out = by_hand(network, places, words, mask, None)
    torch.testing.assert_close(maps, wanted[1:])
    torch.testing.assert_close(answer, out)
    assert float(maps.std()) > 0.01


def test_another_map_is_what_the_last_rows_attend_with_and_the_first_keep_their_bits(network: Looking) -> None:
    places, words, mask = inputs()
    plain = network(places, words, mask)
    other = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) * 2 - 0.5  # need not sum to one
    with watched(network, 2, yes, lambda layer, maps: other):
        answer = network(places, words, mask)
    assert torch.equal(answer[:1], plain[:1])
    everyone = torch.cat([torch.zeros(1, 3, 4, 5), other])
    torch.testing.assert_close(answer[1:], by_hand(network, places, words, mask, everyone)[1][1:])


def test_what_is_not_wanted_is_not_looked_at(network: Looking) -> None:
    places, words, mask = inputs()
    plain = network(places, words, mask)
    with watched(network, 2, lambda layer: not layer.cross, lambda layer, maps: maps * 0):
        assert torch.equal(network(places, words, mask), plain)


def test_half_precision_stays_half_precision() -> None:
    network = Looking(next(processors())).eval().requires_grad_(False).bfloat16()
    places, words, _ = (x.bfloat16() for x in inputs())
    kinds: list[torch.dtype] = []

    def keep(layer: Layer, maps: Tensor) -> Tensor:
        kinds.append(maps.dtype)
        return maps

    with watched(network, 3, yes, keep):
        answer = network(places, words)
    assert (kinds, answer.dtype) == ([torch.float32], torch.bfloat16)
    torch.testing.assert_close(answer, network(places, words), rtol=0.02, atol=0.02)


def test_an_attention_in_slices_is_refused_by_name_even_where_a_slice_looks_whole() -> None:
    """Two rows of three heads in slices of three: the first slice is not the last row."""
    from diffusers.models.attention_processor import SlicedAttnProcessor

    network = Looking(SlicedAttnProcessor(3)).eval()
    places, words, _ = inputs(2)
    with (
        pytest.raises(RequestError, match="look runs on SlicedAttnProcessor"),
        watched(network, 1, yes, lambda *_: None),
    ):
        network(places, words)
    assert not network.look._forward_hooks


def test_a_kernel_that_torch_does_not_see_is_refused() -> None:
    class Elsewhere:
        """As xformers' and flash attention's: the map never exists."""

        def __call__(self, attn: nn.Module, hidden_states: Tensor, **_: object) -> Tensor:
            return hidden_states * 2

    network = Looking(Elsewhere())
    with pytest.raises(RequestError, match="look runs on Elsewhere"), watched(network, 1, yes, lambda *_: None):
        network(*inputs()[:2])


def test_a_network_whose_attentions_do_not_run_is_refused() -> None:
    network = Looking(next(processors()))
    with pytest.raises(RequestError, match="do not show when they run"), watched(network, 1, yes, lambda *_: None):
        pass


def test_a_network_without_words_is_refused() -> None:
    with pytest.raises(RequestError, match="Linear has no attention"):
        steerable(nn.Linear(1, 1))
