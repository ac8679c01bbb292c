"""Pipelines of every architecture, with networks so small that they take no time, and the folders they save."""

import functools

import pytest

KINDS = ("sd1", "sd2", "sdxl", "sd3", "sd3-no-t5", "flux", "flux-schnell", "pixart", "pixart-sigma")


@pytest.fixture(scope="session")
def tiny_pipeline():
    """tiny_pipeline("sdxl") is an unmodified diffusers pipeline with random weights, float32, on the CPU."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
    return functools.cache(_pipeline)


@pytest.fixture(scope="session")
def tiny_folder(tiny_pipeline, tmp_path_factory):
    """tiny_folder("sdxl") is where such a pipeline was saved. Read it only."""

    @functools.cache
    def saved(kind):
        folder = tmp_path_factory.mktemp("models") / kind
        tiny_pipeline(kind).save_pretrained(folder)
        return folder

    return saved


def _pipeline(kind):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(KINDS.index(kind))
        made = _MAKERS[kind.partition("-")[0]](kind)
        for part in made.components.values():
            if isinstance(part, torch.nn.Module):
                _loosen(part)
    made.set_progress_bar_config(disable=True)
    return made


def _loosen(network):
    """Weights that were set to zero or one would hide what flows through them."""
    import torch

    for weight in network.eval().parameters():
        if weight.requires_grad:
            weight.data += 0.05 * torch.randn_like(weight)


def _sd(kind):
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=_vae(4),
        text_encoder=_clip(),
        tokenizer=_clip_tokenizer(),
        unet=_unet(16),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
            prediction_type="v_prediction" if kind == "sd2" else "epsilon",
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(kind):
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    more = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 24,
    }
    return StableDiffusionXLPipeline(
        vae=_vae(4),
        text_encoder=_clip(),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_clip(24, projected=True),
        tokenizer_2=_clip_tokenizer(pad="!"),
        unet=_unet(16 + 24, **more),
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        add_watermarker=False,
    )


def _sd3(kind):
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    transformer = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=48,
        caption_projection_dim=16,
        pooled_projection_dim=16 + 24,
        pos_embed_max_size=12,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(4, 0.0609),
        text_encoder=_clip(16, projected=True),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_clip(24, projected=True),
        tokenizer_2=_clip_tokenizer(pad="!"),
        text_encoder_3=_t5(48) if kind == "sd3" else None,
        tokenizer_3=_t5_tokenizer() if kind == "sd3" else None,
    )


def _flux(kind):
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        pooled_projection_dim=16,
        guidance_embeds=kind == "flux",
        axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=kind == "flux"),
        vae=_vae(4, 0.1159),
        text_encoder=_clip(),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_t5(48),
        tokenizer_2=_t5_tokenizer(),
    )


def _pixart(kind):
    from diffusers import (
        DPMSolverMultistepScheduler,
        PixArtAlphaPipeline,
        PixArtSigmaPipeline,
        PixArtTransformer2DModel,
    )

    transformer = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        cross_attention_dim=24,
        sample_size=128,
        patch_size=2,
        caption_channels=48,
        use_additional_conditions=kind == "pixart",
    )
    return (PixArtAlphaPipeline if kind == "pixart" else PixArtSigmaPipeline)(
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(beta_schedule="linear"),
        vae=_vae(4),
        text_encoder=_t5(48),
        tokenizer=_t5_tokenizer(),
    )


def _unet(words, **more):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=words,
        **more,
    )


def _vae(channels, shift=None):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=4,
        shift_factor=shift,
    )


def _clip(width=16, projected=False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(_clip_tokenizer()),
        hidden_size=width,
        intermediate_size=width,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        eos_token_id=_clip_tokenizer().eos_token_id,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _t5(width):
    from transformers import T5Config, T5EncoderModel

    size = len(_t5_tokenizer())
    config = T5Config(vocab_size=size, d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    return T5EncoderModel(config)


def _clip_tokenizer(pad=None):
    """CLIP's, with letters for words, but "red" and "ball" whole, and "on" where a word ends."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges = [("r", "e"), ("re", "d</w>"), ("b", "a"), ("l", "l</w>"), ("ba", "ll</w>"), ("o", "n</w>")]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocab = {piece: number for number, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77, pad_token=pad or "<|endoftext|>")


def _t5_tokenizer():
    """T5's, with letters for words, but "red" and "ball" whole."""
    from transformers import T5Tokenizer

    pieces = ["▁", "▁red", "▁ball", *"abcdefghijklmnopqrstuvwxyz,.'"]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((piece, -1.0 - len(piece) / 10) for piece in pieces)]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=512)


_MAKERS = {"sd1": _sd, "sd2": _sd, "sdxl": _sdxl, "sd3": _sd3, "flux": _flux, "pixart": _pixart}
