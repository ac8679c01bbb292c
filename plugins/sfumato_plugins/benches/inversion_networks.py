"""Pipelines of the true classes with small random networks: Stable Diffusion, SDXL, SD3 and Flux, made on the spot.

Nobody trained them, so their pictures are nothing; what a scheduler does to their latents is what it does to real ones.
"""

from __future__ import annotations

from typing import Any

PIPELINES = ("sd", "sdxl", "sd3", "flux")
PIXELS = 32  # a side of the pictures
WORDS = ("a", "red", "blue", "green", "ball", "cube", "on", "the", "table", "photo", "of")
SLOTS, WIDTH = 16, 32  # tokens of a prompt, channels of a token


def tiny_pipeline(name: str, dtype: Any = None, seed: int = 0) -> Any:
    """One of `PIPELINES` as diffusers has it, quiet, on the CPU; about 0.3 M parameters each.

    dtype: Of all its networks, a torch dtype; float32 if None.
    """
    import torch
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe = {"sd": _sd, "sdxl": _sdxl, "sd3": _sd3, "flux": _flux}[name]()
    pipe.set_progress_bar_config(disable=True)
    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    for part in parts:
        part.eval()
    _liven(pipe)
    for part in parts:
        part.to(dtype or torch.float32)
    return pipe


def network_of(pipe: Any) -> Any:
    """The denoising network."""
    return getattr(pipe, "unet", None) or pipe.transformer


def _liven(pipe: Any) -> None:
    """Scale the last layer until answers have the size of noise, so that a step moves latents as far as a real one."""
    import torch

    network, sizes = network_of(pipe), []
    seen = network.register_forward_hook(lambda module, inputs, out: sizes.append(float(out[0].std())))
    run_pipeline(pipe, WORDS[0], clean_latents(pipe, torch.Generator().manual_seed(0)), 1.0, 2)
    seen.remove()
    last = network.conv_out if hasattr(network, "conv_out") else network.proj_out
    with torch.no_grad():
        for weight in last.parameters():
            weight /= sizes[0]


def clean_latents(pipe: Any, generator: Any, dtype: Any = None) -> Any:
    """Latents as the pipeline takes them: (1, 4, 16, 16), or for Flux packed, (1, 64, 16)."""
    import torch

    shape = (1, 64, 16) if type(pipe).__name__ == "FluxPipeline" else (1, 4, 16, 16)
    return torch.randn(shape, generator=generator).to(dtype or torch.float32)


def run_pipeline(pipe: Any, prompt: str, latents: Any, guidance: float, steps: int) -> Any:
    """The pipeline, called as anybody calls it, and the latents it ends with."""
    how: dict[str, Any] = {"latents": latents, "num_inference_steps": steps, "output_type": "latent"}
    how |= {"height": PIXELS, "width": PIXELS}
    if type(pipe).__name__ == "FluxPipeline":  # its own guidance is a number the network is told
        how |= {"guidance_scale": guidance, "max_sequence_length": SLOTS}
        how |= {"negative_prompt": "a photo", "true_cfg_scale": guidance} if guidance > 1 else {}
    else:
        how |= {"guidance_scale": guidance}
    return pipe(prompt, **how).images


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({w: i for i, w in enumerate(("<pad>", "<unk>", *WORDS))}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", model_max_length=SLOTS, padding_side="right"
    )


def _clip(projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(WORDS) + 2,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=SLOTS,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    sizes = {"d_model": WIDTH, "d_ff": WIDTH, "d_kv": 8, "num_heads": 4, "num_layers": 1}
    return T5EncoderModel(T5Config(vocab_size=len(WORDS) + 2, **sizes))


def _vae(channels: int, **more: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=4,
        sample_size=PIXELS,
        **more,
    )


def _unet(cross: int, **more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=PIXELS // 2,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=8,
        cross_attention_dim=cross,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **more,
    )


def _sd() -> Any:
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return StableDiffusionPipeline(
        vae=_vae(4),
        text_encoder=_clip(),
        tokenizer=_tokenizer(),
        unet=_unet(WIDTH),
        scheduler=PNDMScheduler(**schedule, steps_offset=1, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl() -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    words = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    return StableDiffusionXLPipeline(
        vae=_vae(4),
        text_encoder=_clip(),
        text_encoder_2=_clip(projected=True),
        tokenizer=_tokenizer(),
        tokenizer_2=_tokenizer(),
        unet=_unet(2 * WIDTH, **words, projection_class_embeddings_input_dim=6 * 8 + WIDTH),
        scheduler=EulerDiscreteScheduler(**schedule, steps_offset=1, timestep_spacing="leading"),
    )


def _sd3() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=PIXELS // 2,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * WIDTH,
            caption_projection_dim=WIDTH,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=PIXELS // 2,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(4, shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(projected=True),
        tokenizer=_tokenizer(),
        text_encoder_2=_clip(projected=True),
        tokenizer_2=_tokenizer(),
        text_encoder_3=None,
        tokenizer_3=None,
    )


def _flux() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    return FluxPipeline(
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=_vae(4, shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(),
        tokenizer=_tokenizer(),
        text_encoder_2=_t5(),
        tokenizer_2=_tokenizer(),
    )
