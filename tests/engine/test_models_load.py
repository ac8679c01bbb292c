"""Folders of every architecture, loaded: the stock pipelines' answers, exact trips, and what a model says of itself."""

import functools
import json
import shutil
import socket

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.protocols import Context
from sfumato.diffusion.schedule import Node
from sfumato.diffusion.walk import arithmetic, invert, latent, resample
from sfumato.models.load import load_model
from sfumato.models.model import Model

KINDS = ("sd1", "sd2", "sdxl", "sd3", "sd3-no-t5", "flux", "flux-schnell", "pixart", "pixart-sigma")
PROMPT = "a red ball, on a red car"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blocked(socket.socket):
        def __init__(self, *args: object, **more: object) -> None:
            raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", Blocked)


@pytest.fixture(scope="session")
def loaded(tiny_folder):
    """loaded("sdxl") is such a model; the same one to every test that asks."""
    return functools.cache(lambda kind, dtype=torch.float32: load_model(tiny_folder(kind), dtype=dtype))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Recorded:
    """The last call that a pipeline made of its network."""

    def __init__(self, pipeline, **options):
        network = getattr(pipeline, "unet", None) or pipeline.transformer
        handle = network.register_forward_hook(self._keep, with_kwargs=True)
        pipeline(PROMPT, num_inference_steps=2, output_type="latent", generator=seeded(), **options)
        handle.remove()

    def _keep(self, network, args, named, out):
        names = ("hidden_states", "timestep", "encoder_hidden_states")
        given = dict(zip(names, args, strict=False)) | named
        self.latent, self.words = given.get("hidden_states", given.get("sample")), given["encoder_hidden_states"]
        self.time, self.given, self.answer = given["timestep"].flatten()[0], given, out[0]


def stock(pipeline, kind: str) -> Recorded:
    size = {"height": 24, "width": 16}
    if kind.startswith("pixart"):
        return Recorded(pipeline, **size, use_resolution_binning=False, clean_caption=False)
    if kind == "flux-schnell":
        return Recorded(pipeline, **size, max_sequence_length=256, guidance_scale=0.0)
    return Recorded(pipeline, **size, guidance_scale=3.0)


def asked(model: Model, kind: str, call: Recorded, pipeline) -> Tensor:
    """Our answer to the call that the pipeline made."""
    context = model.embedder([PROMPT])
    if kind.startswith("flux"):
        node = Node(float(call.time), 0.5, 0.5)
        here = pipeline._unpack_latents(call.latent, 24, 16, 2)
        answer = Guided(model.denoiser, context, context, 3.0 if kind == "flux" else 1.0)(here, node)
        return pipeline._pack_latents(answer, *answer.shape)
    node = Node(float(call.time) / (1000 if kind.startswith("sd3") else 1), 0.5, 0.5)
    return model.denoiser(call.latent, node, Context.cat([model.embedder([""]), context]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_networks_answer_is_the_unmodified_pipelines(kind, tiny_pipeline, loaded) -> None:
    pipeline, model = tiny_pipeline(kind), loaded(kind)
    call = stock(pipeline, kind)
    answer = asked(model, kind, call, pipeline)
    expected = call.answer[:, : answer.shape[1]] if kind.startswith("pixart") else call.answer
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-6)
    assert float(expected.std()) > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_words_change_a_networks_answer(kind, loaded) -> None:
    model = loaded(kind)
    z, node = torch.randn(1, 4, 8, 8, generator=seeded()), model.grid(10).nodes[5]
    contexts = model.embedder([PROMPT, "a blue ball", "", PROMPT])
    answers = [
        model.denoiser(z, node, Context(*(None if x is None else x[row : row + 1] for x in contexts)))
        for row in range(4)
    ]
    assert torch.equal(answers[0], answers[3])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert float((answers[a] - answers[b]).abs().max()) > 1e-5


def trip(model: Model, steps: int, weight: float, anyway: bool = False) -> None:
    picture = torch.rand(1, 3, 16, 16, generator=seeded(3))
    plan = make_plan(model.grid(steps), 1.0)
    states = arithmetic(plan)
    z = states.show(states.enter(model.codec.encode(picture)))
    guided = Guided(model.denoiser, model.embedder([PROMPT]), model.embedder([""]), weight)
    out = invert(plan, guided, z)
    assert float((latent(plan, out) - z).abs().max()) > 0.1  # the trip was made
    assert torch.equal(latent(plan, resample(plan, guided, out, verify=True)), z)


@pytest.mark.parametrize(
    ("kind", "weight", "dtype"),
    [
        ("sd1", 3.0, torch.float32),
        ("sd2", 1.0, torch.bfloat16),
        ("sdxl", 3.0, torch.bfloat16),
        ("sd3", 1.0, torch.float32),
        ("sd3-no-t5", 3.0, torch.bfloat16),
        ("flux", 3.0, torch.bfloat16),
        ("flux-schnell", 1.0, torch.float32),
        ("pixart", 3.0, torch.float32),
        ("pixart-sigma", 1.0, torch.bfloat16),
    ],
)
def test_a_picture_comes_back_from_noise_to_the_bit(kind, weight, dtype, loaded) -> None:
    model = loaded(kind, dtype)
    assert model.network.dtype == dtype
    trip(model, 10, weight)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("steps", [10, 20, 28, 50, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_comes_back_from_noise_to_the_bit(kind, steps, dtype, loaded) -> None:
    model = loaded(kind, dtype)
    for weight in (1.0, 3.0, 7.5):
        trip(model, steps, weight)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_question_has_the_same_bits_twice_and_in_a_new_copy(kind, loaded, tiny_folder) -> None:
    dtype = (torch.bfloat16, torch.float32)[KINDS.index(kind) % 2]
    picture = torch.rand(2, 3, 16, 24, generator=seeded())

    def answers(model: Model) -> list[Tensor]:
        context = model.embedder([PROMPT, ""])
        z = model.codec.encode(picture)
        return [*context, z, model.denoiser(z, model.grid(10).nodes[4], context), model.codec.decode(z)]

    model = loaded(kind, dtype)
    first, second, other = answers(model), answers(model), answers(load_model(tiny_folder(kind), dtype=dtype))
    for a, b, c in zip(first, second, other, strict=True):
        assert (a is None and b is None) or (torch.equal(a, b) and torch.equal(a, c))


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_has_the_same_bits_whatever_stands_beside_it(kind, loaded) -> None:
    embedder = loaded(kind).embedder
    both = embedder(["a blue ball", PROMPT])
    for together, alone in zip(both, embedder([PROMPT]), strict=True):
        assert together is None or torch.equal(together[1:], alone)


@pytest.mark.parametrize(
    ("kind", "answers", "size", "multiple"),
    [
        ("sd1", "eps", 16, 2),
        ("sd2", "v", 16, 2),
        ("sdxl", "eps", 16, 2),
        ("sd3", "flow", 16, 4),
        ("flux", "flow", 256, 4),
        ("pixart", "eps", 256, 4),
    ],
)
def test_what_a_model_says_of_itself(kind, answers, size, multiple, loaded) -> None:
    model = loaded(kind)
    assert (model.name, model.licence, model.levels.prediction) == (kind, "unknown", answers)
    assert (model.size, model.multiple) == ((size, size), multiple)
    assert model.kind == model.grid(10).kind == ("flow" if answers == "flow" else "vp")
    picture = torch.rand(1, 3, 3 * multiple, 5 * multiple, generator=seeded())  # odd, but for the multiple
    z = model.codec.encode(picture)
    assert z.shape[2:] == (3 * multiple // 2, 5 * multiple // 2)
    assert model.codec.decode(z).shape == picture.shape
    assert model.denoiser(z, model.grid(10).nodes[3], model.embedder([PROMPT])).shape == z.shape


def test_the_autoencoders_answers_are_the_unmodified_pipelines(tiny_pipeline, loaded) -> None:
    """The mean of the posterior, scaled as the pipelines scale, shift and all."""
    picture = torch.rand(2, 3, 16, 24, generator=seeded())
    for kind in ("sd1", "flux"):
        vae, codec = tiny_pipeline(kind).vae, loaded(kind).codec
        shift = vae.config.shift_factor or 0.0
        z = (vae.encode(2 * picture - 1).latent_dist.mean - shift) * vae.config.scaling_factor
        torch.testing.assert_close(codec.encode(picture), z, rtol=0, atol=1e-6)
        back = vae.decode(z / vae.config.scaling_factor + shift).sample / 2 + 0.5
        torch.testing.assert_close(codec.decode(z), back, rtol=0, atol=1e-5)  # two pictures at once there


def test_slots_name_their_tokens_and_a_long_prompt_the_words_it_loses(loaded) -> None:
    model = loaded("sd1")
    tokens = model.tokens("a Red ball")
    assert len(tokens) == model.embedder(["a Red ball"]).tokens.shape[1] == 77
    assert tokens[:5] == [("", 0, 0), ("a", 0, 1), ("Red", 2, 5), ("ball", 6, 10), ("", 0, 0)]
    assert model.cut(PROMPT) == model.cut("") == ""
    assert model.unknown("a blue ball") == []
    assert model.cut("red ball " * 37 + "red and a blue car") == "and a blue car"  # 75 words fit; "and" is 3 tokens


def test_the_published_clip_tokenizer_fills_slots_that_name_their_words(data) -> None:
    from transformers import CLIPTokenizer

    from sfumato.models.text import Slots

    published = data / "weights" / "sd1_tokenizer"
    if not published.is_dir():
        pytest.skip(f"no tokenizer in {published}")
    slots = Slots(CLIPTokenizer.from_pretrained(published, local_files_only=True), 77)
    prompt = "Élodie's  strawberry-flavoured ICE"
    found = ["", "É", "lo", "die", "'s", "strawberry", "-", "flavoured", "ICE", ""]
    tokens = slots.tokens(prompt)
    assert [text for text, _, _ in tokens[:10]] == found
    assert all(prompt[start:end] == text for text, start, end in tokens)
    assert slots.cut("strawberry ice, " * 25 + "a long unreadable word") == "a long unreadable word"


def test_words_that_a_model_never_learnt_are_named(loaded) -> None:
    assert loaded("flux").unknown("a red ball, 7 cats & a dog") == ["7", "&"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_slot_of_a_context_has_its_token(kind, loaded) -> None:
    model = loaded(kind)
    tokens = model.tokens("a red ball")
    assert len(tokens) == model.embedder(["a red ball"]).tokens.shape[1]
    read = 2 if kind == "sd3" else 1  # by CLIP, and by T5 again
    assert [text.strip() for text, _, _ in tokens if text.strip()] == ["a", "red", "ball"] * read
    assert model.cut("red ball " * 300).endswith("red ball")


def test_the_digest_is_of_the_weights_on_disk(tiny_folder, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "renamed"
    shutil.copytree(tiny_folder("pixart"), folder)
    before = load_model(tiny_folder("pixart")).digest
    assert load_model(folder, dtype=torch.bfloat16).digest == before
    file = folder / "text_encoder" / "model.safetensors"
    weights = load_file(file)
    next(iter(weights.values())).flatten()[0] += 1
    save_file(weights, file, metadata={"format": "pt"})
    assert load_model(folder).digest != before


def test_noise_without_signal_is_left_out_of_the_levels(tiny_folder, tmp_path) -> None:
    """Zero terminal SNR: sampling wants alpha 0, inversion would divide by it."""
    folder = tmp_path / "zero"
    shutil.copytree(tiny_folder("sd2"), folder)
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rescale_betas_zero_snr": True}))
    noisiest = load_model(folder).grid(20).nodes[-1]
    assert noisiest.alpha >= 1e-2
    assert 900 < noisiest.time < 999
    assert load_model(tiny_folder("sd2")).grid(20).nodes[-1].time == 999


def test_flux_is_told_the_guidance_weight_and_asked_once(loaded) -> None:
    model = loaded("flux")
    z, node = torch.randn(1, 4, 8, 8, generator=seeded()), model.grid(10).nodes[5]
    prompt, empty = model.embedder([PROMPT]), model.embedder([""])
    calls: list[int] = []
    handle = model.network.register_forward_pre_hook(lambda network, args, named: calls.append(1), with_kwargs=True)
    weak, strong = (Guided(model.denoiser, prompt, empty, weight) for weight in (1.0, 5.0))
    assert not torch.equal(weak(z, node), strong(z, node))
    handle.remove()
    assert (len(calls), weak.copies, strong.copies) == (2, 1, 1)


@pytest.mark.parametrize("name", ["taesd", "taesdxl", "taesd3", "taef1"])
def test_a_published_tiny_autoencoder_brings_a_photograph_back(name, data, tiny_folder, tmp_path) -> None:
    from diffusers import AutoencoderTiny
    from safetensors.torch import load_file

    from sfumato.models.codecs import load_codec
    from sfumato.models.load_folder import open_folder

    published = data / "weights" / "taesd"
    if not (published / f"{name}_encoder.safetensors").is_file():
        pytest.skip(f"no {name} in {published}")
    channels = 4 if "sd3" not in name and name != "taef1" else 16
    vae = AutoencoderTiny(latent_channels=channels)
    for half in ("encoder", "decoder"):
        weights = load_file(published / f"{name}_{half}.safetensors")
        moved = {
            f"layers.{int(k.split('.')[0]) - (half == 'decoder')}.{k.partition('.')[2]}": v for k, v in weights.items()
        }
        getattr(vae, half).load_state_dict(moved)
    vae.save_pretrained(tmp_path / "vae")
    (tmp_path / "model_index.json").write_text(json.dumps({"vae": ["diffusers", "AutoencoderTiny"]}))
    codec = load_codec(open_folder(tmp_path, torch.device("cpu"), torch.bfloat16), channels)
    picture = photograph(data)
    z = codec.encode(picture)
    assert z.shape == (1, channels, 16, 24)
    assert float((codec.decode(z) - picture).square().mean()) < 10 ** (-20 / 10)  # 20 dB at least


def photograph(data) -> Tensor:
    """128 x 192 of a real one, display-referred, (1, 3, 128, 192)."""
    from sfumato.io import read_image

    files = sorted((data / "matting" / "alphamatting" / "image").glob("*.png"))
    if not files:
        pytest.skip(f"no photographs in {data}")
    return read_image(files[0]).pixels[None, :3, 100:228, 100:292].clone()
