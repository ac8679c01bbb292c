"""Prompt-to-prompt on Stable Diffusion, SDXL and PixArt: what it changes, and that it changes nothing else."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("diffusers", reason="diffusion models need the diffusion extra")

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.beside import resample_beside
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.schedule import log_grid, scaled_linear
from sfumato.diffusion.walk import arithmetic, invert, resample
from sfumato.errors import RequestError
from sfumato.models.attention import controlled
from sfumato.models.attention_maps import Layer, steerable, watched
from sfumato.models.attention_words import Mode, Prompt, align, words
from sfumato.models.load import load_model
from sfumato.models.model import Model

GRID = log_grid(scaled_linear(), 6)
NODE = GRID.nodes[-2]  # the first at which a walk back asks
SOURCE, TARGET = "a red ball", "a blue ball"  # these tokenizers read "red" and "ball" whole, and "blue" in letters


@pytest.fixture(scope="module", params=["sd1", "sdxl", "pixart"])
def net(request: pytest.FixtureRequest, tiny_folder: Callable[[str], str]) -> Model:
    model = load_model(tiny_folder(request.param))
    for name, module in model.network.named_modules():
        if name.endswith("to_q"):
            module.weight.mul_(6)  # maps of random weights are flat: these are not
    return model


def guided(net: Model, prompt: str, weight: float = 3.0, rows: int = 1) -> Guided:
    return Guided(net.denoiser, net.embedder([prompt] * rows), net.embedder([""] * rows), weight)


def latent(seed: int = 0, rows: int = 1) -> Tensor:
    return torch.randn(rows, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def crossing(layer: Layer) -> bool:
    return layer.cross


def hooks(network: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


@pytest.mark.parametrize("weight", [1.0, 3.0])
@pytest.mark.parametrize("rows", [1, 2])
def test_recording_leaves_the_source_its_bits_and_the_network_its_processors(
    net: Model, weight: float, rows: int
) -> None:
    z, plain = latent(rows=rows), guided(net, SOURCE, weight, rows)
    processors = {name: id(p) for name, p in net.network.attn_processors.items()}
    source, _ = controlled(net, SOURCE, TARGET, "replace", layout=1.0)(plain, plain, GRID)
    assert torch.equal(source(z, NODE), plain(z, NODE))
    assert {name: id(p) for name, p in net.network.attn_processors.items()} == processors
    assert hooks(net.network) == 0


def test_attending_with_ones_own_maps_changes_nothing_but_rounding(net: Model) -> None:
    z, plain = latent(), guided(net, SOURCE)
    control = controlled(net, SOURCE, SOURCE, "replace", layout=1.0, weights={"ball": 1.0})
    source, target = control(plain, plain, GRID)
    source(z, NODE)
    torch.testing.assert_close(target(z, NODE), plain(z, NODE), rtol=0, atol=2e-5)


@pytest.mark.parametrize("mode", ["replace", "refine", "reweight"])
def test_the_target_attends_as_the_source_did_word_by_word(net: Model, mode: Mode) -> None:
    """Put together from its parts: the source's maps, aligned, handed to the target's pass."""
    ours, theirs, weights = latent(0), latent(5), {"ball": 2.5} if mode == "reweight" else {}
    control = controlled(net, SOURCE, TARGET, mode, weights=weights)
    source, target = control(guided(net, SOURCE), guided(net, TARGET), GRID)
    source(ours, NODE)
    answer = target(theirs, NODE)
    prompts = [Prompt(p, net.tokens(p)) for p in (SOURCE, TARGET)]
    slots = len(prompts[0].tokens)
    aligned = align(prompts[0], prompts[1], mode, (slots, slots), weights)
    recorded: dict[str, Tensor] = {}
    with watched(net.network, 1, crossing, lambda layer, m: recorded.update({layer.name: m})):
        guided(net, SOURCE)(ours, NODE)
    with watched(net.network, 1, crossing, lambda layer, m: aligned(recorded[layer.name], m)):
        assert torch.equal(guided(net, TARGET)(theirs, NODE), answer)
    assert not torch.allclose(guided(net, TARGET)(theirs, NODE), answer, atol=1e-3)
    blue = words(prompts[1])[1].slots
    assert len(blue) == 4  # for one slot of "red"
    assert aligned.own[list(blue)].all().item() is (mode != "replace")


def test_beyond_its_part_of_the_steps_the_control_is_not_there(net: Model) -> None:
    z, plain = latent(), guided(net, TARGET)
    source, target = controlled(net, SOURCE, TARGET, "replace", until=0.5)(guided(net, SOURCE), plain, GRID)
    for i, node in enumerate(GRID.nodes[-2:0:-1]):  # five levels, as a walk back asks
        source(z, node)
        assert torch.equal(target(z, node), plain(z, node)) is (i >= 3), i


def test_layout_holds_the_source_s_self_attention_where_it_is_small(
    net: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_an_exception_in_the_network_leaves_it_as_it_was(net: Model) -> None:
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


def test_threads_share_a_network_and_nothing_else(net: Model) -> None:
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


def test_a_controlled_edit_beside_an_exact_replay(net: Model) -> None:
    """The replay comes back to the bit while it is recorded; one control may serve two edits."""
    plan, source, target = make_plan(GRID), guided(net, SOURCE), guided(net, TARGET)
    walk = invert(plan, source, latent())
    control = controlled(net, SOURCE, TARGET, "replace")
    found = [resample_beside(plan, *control(source, target, plan.grid), walk) for _ in range(2)]
    plain = resample(plan, target, walk)
    assert torch.equal(found[0][0].pair.cleaner, arithmetic(plan).enter(latent()))
    assert torch.equal(found[0][1].pair.cleaner, found[1][1].pair.cleaner)
    assert not torch.equal(found[0][1].pair.cleaner, plain.pair.cleaner)


def test_a_network_in_half_precision_is_controlled_too(tiny_folder: Callable[[str], str]) -> None:
    net = load_model(tiny_folder("pixart"), dtype=torch.bfloat16)
    plan, source = make_plan(GRID), guided(net, SOURCE)
    walk = invert(plan, source, latent())
    recording, attending = controlled(net, SOURCE, TARGET, "refine", layout=0.5)(source, guided(net, TARGET), GRID)
    replay, _ = resample_beside(plan, recording, attending, walk)
    assert torch.equal(replay.pair.cleaner, arithmetic(plan).enter(latent()))


def test_a_prompt_into_itself_comes_back_to_the_bit(net: Model) -> None:
    plan, source = make_plan(GRID), guided(net, SOURCE)
    control = controlled(net, SOURCE, SOURCE, "replace", layout=1.0)
    _, edit = resample_beside(plan, *control(source, source, plan.grid), invert(plan, source, latent()))
    assert torch.equal(edit.pair.cleaner, arithmetic(plan).enter(latent()))


def test_one_level_of_maps_is_held_at_a_time(net: Model) -> None:
    plan, source, target = make_plan(GRID), guided(net, SOURCE), guided(net, TARGET)
    recording, attending = controlled(net, SOURCE, TARGET, "replace", until=1)(source, target, plan.grid)
    walk, kept, after = invert(plan, source, latent()), recording.maps.kept, []  # type: ignore[attr-defined]
    recording(latent(), NODE)
    assert len(kept) == 1
    resample_beside(plan, recording, attending, walk, lambda _: after.append(len(kept)))
    assert after == [0] * 5


def test_the_target_before_the_source_is_refused(net: Model) -> None:
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
def test_what_cannot_be_controlled_is_refused_before_any_step(net: Model, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        controlled(net, SOURCE, TARGET, **({"mode": "refine"} | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_networks_that_mix_words_and_picture_are_refused_by_name(kind: str, tiny_folder: Callable[[str], str]) -> None:
    model = load_model(tiny_folder(kind))
    with pytest.raises(RequestError, match=type(model.network).__name__) as refused:
        controlled(model, SOURCE, TARGET, "replace")
    assert "Stable Diffusion 1" in refused.value.hint
