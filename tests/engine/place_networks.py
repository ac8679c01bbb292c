"""Tiny networks of every class that can be directed, with random weights, and what to call each with."""

import torch


def quiet(network, seed=0):
    torch.manual_seed(seed)
    for weight in network.parameters():
        weight.data += 0.05 * torch.randn_like(weight)
    return network.eval().requires_grad_(False)


def build(name):
    """A network, its words' width, and whether it has frames."""
    import diffusers

    diffusers.utils.logging.set_verbosity_error()
    torch.manual_seed(0)
    return quiet(_BUILDERS[name](diffusers))


def call(name, network, latent, words, time=500.0):
    """The network's answer for a latent (B, C, F, h, w), or (B, C, h, w) where it has no frames."""
    return _CALLS.get(name, _plain)(network, latent, words, time)


def space_of(name, latent, slots):
    from sfumato.place.sites import Space

    frames = latent.shape[2] if latent.dim() == 5 else 1
    return Space(frames, latent.shape[-2], latent.shape[-1], slots)


FRAMED = ("UNet3D", "UNetMotion", "Latte", "Wan", "LTX", "CogVideoX")
WORDS = 16


def _unet(d):
    return d.UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WORDS,
        attention_head_dim=2,
        norm_num_groups=4,
        sample_size=16,
    )


def _xl(d):
    return d.UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        cross_attention_dim=WORDS,
        attention_head_dim=(2, 4),
        norm_num_groups=4,
        sample_size=16,
    )


def _unet3d(d):
    return d.UNet3DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=WORDS,
        attention_head_dim=4,
        norm_num_groups=4,
        sample_size=16,
    )


def _motion(d):
    return d.UNetMotionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
        cross_attention_dim=WORDS,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        norm_num_groups=4,
        sample_size=16,
        motion_max_seq_length=16,
    )


def _pixart(d):
    return d.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        cross_attention_dim=16,
        sample_size=16,
        patch_size=1,
        caption_channels=WORDS,
        norm_num_groups=4,
        use_additional_conditions=False,
    )


def _latte(d):
    return d.LatteTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        cross_attention_dim=16,
        sample_size=16,
        patch_size=1,
        caption_channels=WORDS,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        video_length=3,
    )


def _sana(d):
    return d.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WORDS,
        sample_size=16,
    )


def _wan(d):
    return d.WanTransformer3DModel(
        patch_size=(1, 1, 1),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=WORDS,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        rope_max_seq_len=128,
    )


def _ltx(d):
    return d.LTXVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=12,
        cross_attention_dim=24,
        num_layers=2,
        caption_channels=WORDS,
    )


def _sd3(d):
    return d.SD3Transformer2DModel(
        sample_size=16,
        patch_size=1,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WORDS,
        caption_projection_dim=16,
        pooled_projection_dim=8,
        out_channels=4,
        pos_embed_max_size=96,
    )


def _flux(d):
    return d.FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WORDS,
        pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4),
    )


def _cog(d):
    return d.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=WORDS,
        num_layers=2,
        sample_width=24,
        sample_height=16,
        sample_frames=9,
        patch_size=1,
        max_text_seq_length=24,
        use_rotary_positional_embeddings=True,
    )


_BUILDERS = {
    "UNet2D": _unet,
    "UNet2D-XL": _xl,
    "UNet3D": _unet3d,
    "UNetMotion": _motion,
    "PixArt": _pixart,
    "Latte": _latte,
    "Sana": _sana,
    "Wan": _wan,
    "LTX": _ltx,
    "SD3": _sd3,
    "Flux": _flux,
    "CogVideoX": _cog,
}
NAMES = tuple(_BUILDERS)


def _times(latent, time):
    return torch.full((len(latent),), time)


def _plain(network, latent, words, time):
    return network(latent, _times(latent, time), encoder_hidden_states=words, return_dict=False)[0]


def _named(network, latent, words, time):
    return network(hidden_states=latent, timestep=_times(latent, time), encoder_hidden_states=words, return_dict=False)[
        0
    ]


def _pix(network, latent, words, time):
    told = {"resolution": None, "aspect_ratio": None}
    return network(
        latent,
        encoder_hidden_states=words,
        timestep=_times(latent, time),
        added_cond_kwargs=told,
        return_dict=False,
    )[0]


def _motioned(network, latent, words, time):
    frames = latent.shape[2]
    return network(latent, time, encoder_hidden_states=words.repeat_interleave(frames, 0), return_dict=False)[0]


def _packed(network, latent, words, time):
    rows, _, frames, height, width = latent.shape
    return network(
        hidden_states=latent.flatten(2).transpose(1, 2),
        encoder_hidden_states=words,
        timestep=_times(latent, time),
        encoder_attention_mask=torch.ones(rows, words.shape[1]),
        num_frames=frames,
        height=height,
        width=width,
        return_dict=False,
    )[0]


def _joined(network, latent, words, time):
    pooled = words.mean(1)[:, :8]
    return network(
        hidden_states=latent,
        timestep=_times(latent, time),
        encoder_hidden_states=words,
        pooled_projections=pooled,
        return_dict=False,
    )[0]


def _fluxed(network, latent, words, time):
    from sfumato.models.flux import pack, places

    height, width = latent.shape[-2:]
    return network(
        hidden_states=pack(latent),
        timestep=_times(latent, time / 1000).to(latent.dtype),
        pooled_projections=words.mean(1)[:, :8],
        encoder_hidden_states=words,
        txt_ids=torch.zeros(words.shape[1], 3),
        img_ids=places(height // 2, width // 2),
        return_dict=False,
    )[0]


def _cogged(network, latent, words, time):
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    frames, height, width = latent.shape[2:]
    rotary = get_3d_rotary_pos_embed(16, ((0, 0), (height, width)), (height, width), frames)
    return network(
        hidden_states=latent.transpose(1, 2),
        timestep=_times(latent, time),
        encoder_hidden_states=words,
        image_rotary_emb=rotary,
        return_dict=False,
    )[0]


_CALLS = {
    "UNetMotion": _motioned,
    "PixArt": _pix,
    "Latte": _named,
    "Sana": _named,
    "Wan": _named,
    "LTX": _packed,
    "SD3": _joined,
    "Flux": _fluxed,
    "CogVideoX": _cogged,
}
