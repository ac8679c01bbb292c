"""Model folders that cannot be used, each with its sentence; and the licence, the silence and the offline law."""

import json
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import RequestError
from sfumato.models.load import load_model
from sfumato.models.load_levels import read_levels
from sfumato.models.load_licence import read_licence

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of a Stable Diffusion 1 folder, to be spoilt."""
    return shutil.copytree(tiny_folder("sd1"), tmp_path / "model")


def edit(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refused(folder, *words):
    with pytest.raises(RequestError) as error:
        load_model(folder)
    assert error.value.exit_code == 2
    assert error.value.hint
    for word in words:
        assert word in str(error.value), str(error.value)


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "nothing", "there is no model folder", "nothing", "embedded")


def test_one_checkpoint_file(folder):
    refused(folder / UNET, "is one file", "model_index.json")


def test_a_folder_without_an_index(folder):
    (folder / "model_index.json").unlink()
    refused(folder, "holds no model", "model_index.json")


def test_an_index_that_is_cut_short(folder):
    text = (folder / "model_index.json").read_text()
    (folder / "model_index.json").write_text(text[: len(text) // 2])
    refused(folder, "model_index.json is damaged")


def test_another_architecture_is_named_with_what_was_found(folder):
    edit(folder / "model_index.json", _class_name="KandinskyPipeline", unet=["diffusers", "UNet2DModel"])
    refused(folder, "KandinskyPipeline with UNet2DModel", "does not know", "Flux")


def test_a_text_encoder_of_another_kind(folder):
    edit(folder / "model_index.json", text_encoder=["transformers", "BertModel"])
    refused(folder, "text_encoder", "BertModel", "CLIPTextModel")


@pytest.mark.parametrize("name", ["pipeline.py", "unet/my_unet.py"])
def test_code_in_the_folder(name, folder):
    (folder / name).write_text("raise SystemExit\n")
    refused(folder, f"holds code ({name})", "runs none")


def test_a_network_from_code_of_the_model(folder):
    edit(folder / "model_index.json", unet=["my_unet", "UNet2DConditionModel"])
    refused(folder, "comes from my_unet")


@pytest.mark.parametrize("suffix", ["bin", "ckpt", "pt", "pth"])
def test_weights_only_in_a_pickle(suffix, folder):
    (folder / UNET).rename((folder / UNET).with_suffix(f".{suffix}"))
    refused(folder, f"diffusion_pytorch_model.{suffix}, a pickle", "safetensors")


def test_a_pickle_beside_safetensors_is_never_opened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    (folder / "text_encoder/pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    load_model(folder)
    assert not (tmp_path / "opened").exists()


def test_a_safety_checker_is_not_looked_at(folder):
    edit(folder / "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker/pytorch_model.bin").write_bytes(b"nothing")
    load_model(folder)


def test_a_part_without_weights(folder):
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    refused(folder, "the vae of", "has no weights")


def test_a_file_that_is_cut_short_is_named(folder):
    data = (folder / UNET).read_bytes()
    (folder / UNET).write_bytes(data[: len(data) // 2])
    refused(folder, UNET, "cut short")


def test_an_empty_file_is_named(folder):
    (folder / UNET).write_bytes(b"")
    refused(folder, UNET, "cut short")


def test_a_weight_that_is_missing_is_named(folder):
    weights = load_file(folder / UNET)
    del weights["conv_in.weight"]
    save_file(weights, folder / UNET, metadata={"format": "pt"})
    refused(folder, "the unet of", "lacks 1 of its weights", "conv_in.weight")


@pytest.mark.parametrize(("part", "name"), [("unet", UNET), ("text_encoder", "text_encoder/model.safetensors")])
def test_weights_of_another_shape(part, name, folder):
    weights = load_file(folder / name)
    widest = max(weights, key=lambda key: weights[key].numel())
    weights[widest] = weights[widest][1:].clone()
    save_file(weights, folder / name, metadata={"format": "pt"})
    refused(folder, f"the {part} of", widest.partition(".")[2], "shape")


def test_a_shard_that_is_missing_is_named(folder):
    split(folder)
    (folder / "unet/diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    refused(folder, "diffusion_pytorch_model-00002-of-00002.safetensors are missing")


def test_a_folder_without_a_tokenizer(folder):
    shutil.rmtree(folder / "tokenizer")
    refused(folder, "has no tokenizer", "prompts")


def test_a_tokenizer_that_is_damaged(folder):
    for file in (folder / "tokenizer").iterdir():
        file.write_text("{")
    refused(folder, "the tokenizer of", "cannot be loaded")


def test_a_folder_without_a_scheduler(folder):
    shutil.rmtree(folder / "scheduler")
    refused(folder, "scheduler_config.json")


def test_a_unet_that_wants_a_masked_picture(folder, tiny_pipeline):
    other_unet(folder, tiny_pipeline, in_channels=9)
    refused(folder, "9 channels", "inpainting")


def test_a_unet_that_wants_more_than_words(folder, tiny_pipeline):
    other_unet(folder, tiny_pipeline, time_cond_proj_dim=8)
    refused(folder, "more than words", "time_cond_proj_dim 8")


def other_unet(folder, tiny_pipeline, **changes):
    from diffusers import UNet2DConditionModel

    config = {k: v for k, v in tiny_pipeline("sd1").unet.config.items() if not k.startswith("_")}
    UNet2DConditionModel.from_config(config | changes).save_pretrained(folder / "unet")


def test_the_refiner_of_stable_diffusion_xl(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder("sdxl"), tmp_path / "refiner")
    edit(folder / "model_index.json", text_encoder=[None, None])
    refused(folder, "the text_encoder of", "nothing")


def test_noise_of_another_kind():
    for config in (
        {"_class_name": "EDMEulerScheduler", "prediction_type": "epsilon"},
        {"_class_name": "DDPMScheduler", "prediction_type": "score"},
    ):
        with pytest.raises(RequestError, match=config["_class_name"]):
            read_levels(config)


def test_a_picture_that_is_no_multiple(tiny_folder):
    with pytest.raises(RequestError, match="15 x 16"):
        load_model(tiny_folder("sd1")).codec.encode(torch.zeros(1, 3, 16, 15))


def test_a_picture_larger_than_the_network_has_places(tiny_folder):
    model = load_model(tiny_folder("sd3"))
    with pytest.raises(RequestError, match="26 x 8"):
        model.denoiser(torch.zeros(1, 4, 8, 26), model.grid(10).nodes[3], model.embedder(["a"]))


def test_weights_in_several_files_and_in_half_precision_are_the_same_model(folder, tiny_pipeline):
    plain = load_model(folder)
    split(folder)
    shards = load_model(folder)
    assert shards.digest == plain.digest
    shutil.rmtree(folder / "unet")
    tiny_pipeline("sd1").unet.save_pretrained(folder / "unet", variant="fp16")
    variant = load_model(folder)
    for other in (shards, variant):
        assert all(
            torch.equal(a, b) for a, b in zip(other.network.parameters(), plain.network.parameters(), strict=True)
        )


def test_weights_under_the_names_that_published_folders_give_them_are_the_same_model(tiny_folder, tmp_path):
    """CLIP's with a prefix and a buffer, the autoencoder's attention before 2023, T5's words twice."""
    folder = shutil.copytree(tiny_folder("flux"), tmp_path / "old")
    before = load_model(folder)
    clip, vae, t5 = (
        folder / part / f"{stem}.safetensors"
        for part, stem in (
            ("text_encoder", "model"),
            ("vae", "diffusion_pytorch_model"),
            ("text_encoder_2", "model"),
        )
    )
    old = {f"text_model.{k}": v for k, v in load_file(clip).items()}
    save_file(old | {"text_model.embeddings.position_ids": torch.arange(77)[None]}, clip, metadata={"format": "pt"})
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = load_file(vae)
    for new, name in names.items():
        old = {k.replace(f".{new}.", f".{name}."): v for k, v in old.items()}
    save_file(old, vae, metadata={"format": "pt"})
    old = load_file(t5)
    save_file(old | {"encoder.embed_tokens.weight": old["shared.weight"].clone()}, t5, metadata={"format": "pt"})
    after = load_model(folder)
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        before.codec.decode(before.codec.encode(picture)), after.codec.decode(after.codec.encode(picture))
    )
    for a, b in zip(before.embedder(["a red ball"]), after.embedder(["a red ball"]), strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


def test_an_index_of_shards_that_names_none(folder):
    split(folder)
    edit(folder / "unet/diffusion_pytorch_model.safetensors.index.json", weight_map={})
    refused(folder, "names no files")


def test_betas_that_make_no_schedule(folder):
    edit(folder / "scheduler/scheduler_config.json", beta_schedule="wavy")
    refused(folder, "betas make no schedule", "wavy")


def test_a_tokenizer_that_would_be_chosen_by_code(folder):
    edit(folder / "model_index.json", tokenizer=["transformers", "AutoTokenizer"])
    refused(folder, "has no tokenizer")


def split(folder):
    """Save the U-Net in two files and an index."""
    weights = load_file(folder / UNET)
    (folder / UNET).unlink()
    names = sorted(weights)
    found = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / "unet" / file, metadata={"format": "pt"})
        found |= dict.fromkeys(part, file)
    index = folder / "unet/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": found}))


@pytest.mark.parametrize(
    ("files", "index", "licence"),
    [
        ({"README.md": "---\nlicense: creativeml-openrail-m\ntags:\n- x\n---\n# Model\n"}, {}, "creativeml-openrail-m"),
        ({"README.md": "---\nlicense: other\nlicense_name: flux-1-dev\nlicense_link: x\n---\n"}, {}, "flux-1-dev"),
        ({"README.md": "---\ntags:\n- x\nlicense:\n- mit\n---\n"}, {}, "mit"),
        ({"README.md": "---\nlicense: other\n---\n"}, {}, "other"),
        ({"README.md": "no front matter\nlicense: mit\n"}, {}, "unknown"),
        (
            {"README.md": "---\ntags: x\n---\n", "LICENSE.md": "\n# Apache License\n Version 2.0\n"},
            {},
            "Apache License",
        ),
        ({"LICENCE": "MIT\n"}, {"license": "apache-2.0"}, "apache-2.0"),
        ({}, {}, "unknown"),
    ],
)
def test_a_licence_is_what_the_folder_says(files, index, licence, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read_licence(tmp_path, index) == licence


def test_loading_says_nothing_and_leaves_the_libraries_as_they_were(tiny_folder, capfd):
    import diffusers
    import huggingface_hub
    import transformers

    logs = [library.utils.logging for library in (diffusers, transformers)]
    for log in logs:
        log.set_verbosity_warning()
        log.enable_progress_bar()
    folder = tiny_folder("flux")
    capfd.readouterr()
    noise = torch.get_rng_state()
    try:
        model = load_model(folder)
        model.embedder(["a red ball " * 300])
        model.cut("a red ball " * 300)
        assert capfd.readouterr() == ("", "")
        assert all(log.get_verbosity() == log.WARNING and log.is_progress_bar_enabled() for log in logs)
        assert not huggingface_hub.constants.HF_HUB_OFFLINE
        assert torch.equal(torch.get_rng_state(), noise)
    finally:
        for log in logs:
            log.disable_progress_bar()


@pytest.mark.slow
def test_a_process_of_its_own_loads_without_a_socket_or_a_word(tiny_folder):
    program = (
        "import socket, sys\n"
        "class Blocked(socket.socket):\n"
        "    def __init__(self, *args, **more):\n"
        "        if sys._getframe(1).f_code.co_name != '_has_ipv6':  # urllib3 asks its own machine, once\n"
        "            raise SystemExit('a socket was opened')\n"
        "        raise OSError('blocked')\n"
        "socket.socket = Blocked\n"
        "from sfumato.models.load import load_model\n"
        "for where in sys.argv[1:]: load_model(where).embedder([''])\n"
    )
    folders = [str(tiny_folder(kind)) for kind in ("sd1", "sdxl", "sd3", "flux", "pixart")]
    done = subprocess.run([sys.executable, "-c", program, *folders], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
