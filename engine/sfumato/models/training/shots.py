"""The embedded model of shots, before it knows how things move: the one of stills, frame by frame, and between its
blocks others that look along time."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from sfumato.models.latte import shown
from sfumato.models.training.clips import Clip, clips
from sfumato.models.training.network import Networks
from sfumato.models.training.render import render
from sfumato.models.training.train import Batch, Training, drawn_levels, encoded, fading, worded

FRAMES = 8


class ShotNetworks(nn.Module):
    """diffusers' LatteTransformer3DModel and the encoder of its prompts, inflated from networks of stills.

    The new blocks add nothing at first, so that every frame is what the stills' network makes of it; only the places
    in time that this class of network adds behind its first block are new to it, less their mean.
    """

    def __init__(self, stills: Networks, frames: int = FRAMES) -> None:
        super().__init__()
        from diffusers import LatteTransformer3DModel

        self.design, self.frames, self.words = stills.design, frames, stills.words
        config = stills.transformer.config
        same = ("num_attention_heads", "attention_head_dim", "in_channels", "out_channels", "num_layers")
        more = ("cross_attention_dim", "attention_bias", "sample_size", "patch_size", "activation_fn", "norm_type")
        last = ("num_embeds_ada_norm", "norm_elementwise_affine", "norm_eps", "caption_channels")
        settings = {name: config[name] for name in same + more + last}
        self.transformer: Any = LatteTransformer3DModel(video_length=frames, **settings)
        missing, extra = self.transformer.load_state_dict(stills.transformer.state_dict(), strict=False)
        assert not extra, extra
        assert all("temporal" in name for name in missing), missing
        for block in self.transformer.temporal_transformer_blocks:
            for layer in (block.attn1.to_out[0], block.ff.net[2]):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
        with torch.no_grad():  # what a cross attention puts out is added as it is, so its bias can take a vector off
            bias = self.transformer.transformer_blocks[1].attn2.to_out[0].bias
            bias -= self.transformer.temp_pos_embed[0].mean(0)
        self.told: Tensor | None = None
        for block in self.transformer.transformer_blocks:
            block.register_forward_pre_hook(self._telling)

    def forward(self, latent: Tensor, time: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """v of latents (B, C, F, side, side) at training times (B,), under prompts (B, 2, SLOTS), mask (B, SLOTS).

        The words of the first prompt turn evenly into those of the second, as `sfumato.place.keyed` has them turn.
        """
        both = self.words(ids.flatten(0, 1), attention_mask=mask.repeat_interleave(2, 0)).last_hidden_state
        before, after = both.unflatten(0, (-1, 2)).unsqueeze(2).unbind(1)  # (B, 1, K, C)
        part = torch.linspace(0, 1, latent.shape[2], device=latent.device).view(1, -1, 1, 1)
        self.told = self.transformer.caption_projection((before + part * (after - before)).flatten(0, 1))
        found: Tensor = self.transformer(
            latent,
            timestep=time,
            encoder_hidden_states=before[:, 0],
            encoder_attention_mask=shown(mask, latent.shape[2], latent.dtype),
            return_dict=False,
        )[0]
        self.told = None
        return found

    def _telling(self, block: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Every frame its own words: the network itself takes one prompt for all of a clip."""
        return (*args[:2], self.told, *args[3:])


def shot_batches(training: Training, networks: ShotNetworks, codec: Any, first: int) -> Iterator[Batch]:
    """As `train.batches`, of clips: each step draws from a generator of its own."""
    for step in range(first, training.steps):
        drawn = list(islice(clips(training.drawn(step), networks.frames), training.batch))
        yield clip_batch(training, networks, codec, drawn, step)


def clip_batch(training: Training, networks: ShotNetworks, codec: Any, drawn: Sequence[Clip], step: int) -> Batch:
    """A step's batch of clips."""
    seed, design, frames = training.drawn(step), networks.design, networks.frames
    generator = torch.Generator().manual_seed(seed)
    pictures, things = drawn_frames(drawn, design.size)
    things = max_pool2d(things, design.share)
    codes = _clip(encoded(codec, pictures), frames)
    noise = torch.randn(codes.shape, generator=generator)
    weight = 1 + training.focus * fading(step, training) * _clip(things.unsqueeze(1), frames)
    (before, mask), (after, _) = (
        worded(training, [scenes[frames // 2] for scenes in said], seed)
        for said in zip(*drawn, strict=True)  # alike but for a colour, so word for word
    )
    prompts = torch.stack([before, after], 1)
    return codes, weight, noise, drawn_levels(training, generator, len(drawn)), prompts, mask


def drawn_frames(drawn: Sequence[Clip], size: int) -> tuple[Tensor, Tensor]:
    """All frames of clips one after another, (B F, 3, size, size), and how much of each pixel is a thing's."""
    pictures, covers = render([scene for clip in drawn for scene in clip.scenes], size)
    frames = len(drawn[0].scenes)
    for number, clip in enumerate(drawn):
        if clip.turned != clip.scenes:
            own = slice(number * frames, (number + 1) * frames)
            part = torch.linspace(0, 1, frames).view(-1, 1, 1, 1)
            pictures[own] = torch.lerp(pictures[own], render(clip.turned, size)[0], part)
    return pictures, torch.stack([cover.amax(0) for cover in covers])


def save_shots(networks: ShotNetworks, folder: Path) -> None:
    """Put the transformer of a folder by `save_folder` for stills in place by one of shots."""
    import json

    networks.transformer.half().save_pretrained(folder / "transformer")
    networks.words.half().save_pretrained(folder / "text_encoder")
    index = json.loads((folder / "model_index.json").read_text())
    index["transformer"] = ["diffusers", "LatteTransformer3DModel"]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _clip(frames: Tensor, count: int) -> Tensor:
    """(B F, C, h, w) -> (B, C, F, h, w)."""
    return frames.reshape(-1, count, *frames.shape[1:]).transpose(1, 2).contiguous()
