"""Prompt-to-prompt on networks of the real classes: what it changes, and that it changes nothing else."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.beside import resample_beside
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node, log_grid, scaled_linear
from sfumato.diffusion.walk import arithmetic, invert, resample
from sfumato.errors import RequestError
from sfumato.models.attention import controlled
from sfumato.models.attention_maps import Layer, steerable

GRID = log_grid(scaled_linear(), 10)
NODE = GRID.nodes[-2]  # the first at which a walk back asks
SOURCE, TARGET = "a red ball", "a blue ball"


def unet() -> nn.Module:
    """As Stable Diffusion's: two sizes, attention at both ends."""
    from diffusers import UNet2DConditionModel

    blocks = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    return UNet2DConditionModel(
        8,
        4,
        4,
        down_block_types=blocks[0],
        up_block_types=blocks[1],
        block_out_channels=(16, 16),
        layers_per_block=1,
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
    )


def pixart() -> nn.Module:
    """As PixArt's, and the embedded model's."""
    from diffusers import PixArtTransformer2DModel

    return PixArtTransformer2DModel(
        2,
        8,
        4,
        8,
        num_layers=2,
        sample_size=8,
        patch_size=2,
        cross_attention_dim=16,
        caption_channels=12,
        use_additional_conditions=False,
    )


@dataclass(frozen=True)
class Net:
    """A network as a Denoiser, with a tokenizer of whole words in six slots, one start and one end."""

    network: nn.Module
    prediction: Prediction = "eps"

    def __call__(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        dtype = next(self.network.parameters()).dtype
        more = {"encoder_attention_mask": context.mask}
        if "PixArt" in type(self.network).__name__:
            more["added_cond_kwargs"] = {"resolution": None, "aspect_ratio": None}
        out = self.network(
            latent.to(dtype), encoder_hidden_states=context.tokens.to(dtype), timestep=_time(latent, node), **more
        )
        return out[0][:, :4]

    def tokens(self, prompt: str) -> list[tuple[str, int, int]]:
        words, at = [("", 0, 0)], 0
        for word in prompt.split():
            words.append((word, prompt.index(word, at), prompt.index(word, at) + len(word)))
            at = words[-1][2]
        return (words + [("", 0, 0)] * 6)[:6]


def _time(latent: Tensor, node: Node) -> Tensor:
    return torch.full((len(latent),), node.time)


@pytest.fixture(scope="module", params=[unet, pixart], ids=["UNet2DCondition", "PixArt"])
def net(request: pytest.FixtureRequest) -> Net:
    torch.manual_seed(1)
    network = request.param().eval().requires_grad_(False)
    for name, module in network.named_modules():
        if name.endswith("to_q"):
            module.weight.mul_(6)  # maps of random weights are flat: these are not
    return Net(network)


def context(prompt: str, rows: int = 1) -> Context:
    """Six random slots for every prompt, the same for the same words."""
    generator = torch.Generator().manual_seed(sum(map(ord, prompt)))
    mask = torch.arange(6) < len(prompt.split()) + 2
    return Context(torch.randn(1, 6, 12, generator=generator).expand(rows, 6, 12), mask.expand(rows, 6))


def guided(net: Net, prompt: str, weight: float = 3.0, rows: int = 1) -> Guided:
    return Guided(net, context(prompt, rows), context("", rows), weight)


def latent(seed: int = 0, rows: int = 1) -> Tensor:
    return torch.randn(rows, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def hooks(network: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("rows", [1, 2])
def test_recording_leaves_the_source_its_bits_and_the_network_its_processors(
    net: Net, weight: float, rows: int
) -> None:
    z, plain = latent(rows=rows), guided(net, SOURCE, weight, rows)
    processors = {name: id(p) for name, p in net.network.attn_processors.items()}
    source, _ = controlled(net, SOURCE, TARGET, "replace", layout=1.0)(plain, plain, GRID)
    assert torch.equal(source(z, NODE), plain(z, NODE))
    assert {name: id(p) for name, p in net.network.attn_processors.items()} == processors
    assert hooks(net.network) == 0


def test_attending_with_ones_own_maps_changes_nothing_but_rounding(net: Net) -> None:
    z, plain = latent(), guided(net, SOURCE)
    control = controlled(net, SOURCE, SOURCE, "replace", layout=1.0, weights={"ball": 1.0})
    source, target = control(plain, plain, GRID)
    source(z, NODE)
    torch.testing.assert_close(target(z, NODE), plain(z, NODE), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("mode", "own"), [("replace", False), ("refine", True), ("reweight", True)])
def test_the_target_attends_as_the_source_did(net: Net, mode: str, own: bool) -> None:
    """At the first layer, where nothing else has changed yet, the maps are known in closed form."""
    ours, theirs = latent(0), latent(5)
    weights = {"ball": 2.5} if mode == "reweight" else {}
    control = controlled(net, SOURCE, TARGET, mode, weights=weights)  # type: ignore[arg-type]
    source, target = control(guided(net, SOURCE), guided(net, TARGET), GRID)
    source(ours, NODE)
    recorded = {name: m.clone() for name, m in source.maps.kept[NODE].items()}  # type: ignore[attr-defined]
    seen: dict[str, Tensor] = {}
    edited = target.maps.edited  # type: ignore[attr-defined]

    def note(layer: Layer, a: Tensor, b: Tensor) -> Tensor:
        seen[layer.name] = b
        return edited(layer, a, b)

    target.maps.edited = note  # type: ignore[attr-defined]
    answer = target(theirs, NODE)
    name = next(iter(recorded))
    wanted = recorded[name].clone()
    if own:
        wanted[..., 2] = seen[name][..., 2]  # "blue"
    wanted[..., 3] *= weights.get("ball", 1)
    torch.testing.assert_close(edited(Layer(name, True, 0), recorded[name], seen[name]), wanted)
    assert not torch.allclose(answer, guided(net, TARGET)(theirs, NODE), atol=1e-3)


def test_beyond_its_part_of_the_steps_the_control_is_not_there(net: Net) -> None:
    z, plain = latent(), guided(net, TARGET)
    source, target = controlled(net, SOURCE, TARGET, "replace", until=0.5)(guided(net, SOURCE), plain, GRID)
    for i, node in enumerate(GRID.nodes[-2:0:-1]):  # nine levels, as a walk back asks
        source(z, node)
        assert torch.equal(target(z, node), plain(z, node)) is (i >= 5), i


def test_layout_holds_the_source_s_self_attention_where_it_is_small(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs, plain = latent(0), latent(5), guided(net, SOURCE)

    def edited() -> Tensor:
        control = controlled(net, SOURCE, SOURCE, "refine", until=0, layout=0.5, weights={"ball": 1.0})
        source, target = control(plain, plain, GRID)
        source(ours, NODE)
        return target(theirs, NODE)

    held = edited()
    assert not torch.allclose(held, plain(theirs, NODE), atol=1e-3)
    monkeypatch.setattr("sfumato.models.attention.PLACES", 3)
    assert torch.equal(edited(), plain(theirs, NODE))


def test_an_exception_in_the_network_leaves_it_as_it_was(net: Net) -> None:
    class StopError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StopError

    z, plain = latent(), guided(net, SOURCE)
    before = plain(z, NODE)
    _, module = steerable(net.network)[-1]
    source, _ = controlled(net, SOURCE, TARGET, "replace")(plain, plain, GRID)
    handle = module.register_forward_pre_hook(stop)
    try:
        with pytest.raises(StopError):
            source(z, NODE)
    finally:
        handle.remove()
    assert hooks(net.network) == 0
    assert torch.equal(plain(z, NODE), before)
    assert torch.equal(source(z, NODE), before)


def test_threads_share_a_network_and_nothing_else(net: Net) -> None:
    """Two edits and a plain request at once, each with the bits it has alone."""

    def edit(mode: str, seed: int) -> Callable[[], Tensor]:
        def run() -> Tensor:
            control = controlled(net, SOURCE, TARGET, mode)  # type: ignore[arg-type]
            source, target = control(guided(net, SOURCE), guided(net, TARGET), GRID)
            source(latent(seed), NODE)
            return target(latent(seed + 1), NODE)

        return run

    jobs = [edit("replace", 0), edit("refine", 3), lambda: guided(net, TARGET)(latent(7), NODE)]
    alone = [job() for job in jobs]
    together: list[list[Tensor]] = [[], [], []]

    def often(i: int) -> None:
        for _ in range(5):
            together[i].append(jobs[i]())

    threads = [threading.Thread(target=often, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, many in zip(alone, together, strict=True):
        assert [torch.equal(one, found) for found in many] == [True] * 5
    assert hooks(net.network) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_controlled_edit_beside_an_exact_replay(net: Net, dtype: torch.dtype) -> None:
    """The replay comes back to the bit while it is recorded; one control may serve two edits."""
    net = replace(net, network=net.network.to(dtype))
    try:
        plan, source, target = make_plan(GRID), guided(net, SOURCE), guided(net, TARGET)
        walk = invert(plan, source, latent())
        control = controlled(net, SOURCE, TARGET, "replace")
        found = [resample_beside(plan, *control(source, target, plan.grid), walk) for _ in range(2)]
        plain = resample(plan, target, walk)
    finally:
        net.network.to(torch.float32)
    assert torch.equal(found[0][0].pair.cleaner, arithmetic(plan).enter(latent()))
    assert torch.equal(found[0][1].pair.cleaner, found[1][1].pair.cleaner)
    assert not torch.equal(found[0][1].pair.cleaner, plain.pair.cleaner)


def test_a_prompt_into_itself_comes_back_to_the_bit(net: Net) -> None:
    plan, source = make_plan(GRID), guided(net, SOURCE)
    control = controlled(net, SOURCE, SOURCE, "replace", layout=1.0)
    _, edit = resample_beside(plan, *control(source, source, plan.grid), invert(plan, source, latent()))
    assert torch.equal(edit.pair.cleaner, arithmetic(plan).enter(latent()))


def test_one_level_of_maps_is_held_at_a_time(net: Net) -> None:
    plan, source, target = make_plan(GRID), guided(net, SOURCE), guided(net, TARGET)
    recording, attending = controlled(net, SOURCE, TARGET, "replace", until=1)(source, target, plan.grid)
    walk, kept, after = invert(plan, source, latent()), recording.maps.kept, []  # type: ignore[attr-defined]
    recording(latent(), NODE)
    assert len(kept) == 1
    resample_beside(plan, recording, attending, walk, lambda _: after.append(len(kept)))
    assert after == [0] * 9


def test_the_target_before_the_source_is_refused(net: Net) -> None:
    plain = guided(net, SOURCE)
    _, target = controlled(net, SOURCE, TARGET, "replace")(plain, plain, GRID)
    with pytest.raises(RequestError, match="before the source"):
        target(latent(), NODE)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mode": "swap"}, "“swap”"),
        ({"mode": "reweight"}, "no word has a weight"),
        ({"until": 1.5}, "1.5"),
        ({"layout": float("nan")}, "nan"),
        ({"weights": {"red": 2.0}}, "“red” has a weight, and is not in “a blue ball”"),
    ],
)
def test_what_cannot_be_controlled_is_refused_before_any_step(net: Net, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        controlled(net, SOURCE, TARGET, **({"mode": "refine"} | wrong))  # type: ignore[arg-type]


def test_networks_that_mix_words_and_picture_are_refused_by_name() -> None:
    from diffusers import FluxTransformer2DModel, SD3Transformer2DModel

    small = {"num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2, "joint_attention_dim": 8}
    sd3 = SD3Transformer2DModel(8, 2, 4, caption_projection_dim=16, pooled_projection_dim=8, out_channels=4, **small)
    flux = FluxTransformer2DModel(
        in_channels=4, num_single_layers=1, pooled_projection_dim=8, axes_dims_rope=(2, 2, 4), **small
    )
    for network in (sd3, flux):
        with pytest.raises(RequestError, match=type(network).__name__) as refused:
            controlled(Net(network), SOURCE, TARGET, "replace")  # type: ignore[arg-type]
        assert "Stable Diffusion 1" in refused.value.hint
