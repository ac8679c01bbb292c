"""The embedded model's codec: pictures of 32 pixels to 8 x 8 codes of 8 numbers, so that drawing edges is not the
diffusion model's work."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.models.training.begin import begin
from sfumato.models.training.render import render
from sfumato.models.training.scenes import scenes
from sfumato.report import Report, Step, silent

CHANNELS = 8  # numbers in a code
SHARE = 4  # pixels of a code's side
NOISE = 0.1  # on codes in training, of their standard deviation: near codes must mean near pictures


def make_codec() -> Any:
    """diffusers' AutoencoderTiny, untrained."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(40, 40, 40),
        decoder_block_out_channels=(40, 40, 40),
        num_encoder_blocks=(1, 1, 2),
        num_decoder_blocks=(2, 1, 1),
        latent_channels=CHANNELS,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def train_codec(
    steps: int, checkpoint: Path, batch: int = 64, rate: float = 2e-3, seed: int = 2, report: Report = silent
) -> Any:
    """Train a codec on rendered scenes, or take the one in the checkpoint.

    Squared error of pictures decoded from codes with a little noise on them; codes are held to mean 0, deviation 1.
    """
    codec = make_codec()
    begin(codec, seed, "codec")
    if checkpoint.exists():
        codec.load_state_dict(torch.load(checkpoint, weights_only=True))
        return codec.eval()
    codec = codec.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(codec.parameters(), rate, (0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.05)
    for step in range(steps):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        source = scenes(seed * 1_000_003 + step)
        pictures = 2 * render([next(source) for _ in range(batch)], 32)[0] - 1
        codes = codec.encoder(pictures.contiguous(memory_format=torch.channels_last))
        noisy = codes + NOISE * torch.randn(codes.shape, generator=generator)
        loss = (codec.decoder(noisy) - pictures).square().mean() + 0.01 * _spread(codes)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        report(Step("codec", step + 1, steps, loss=float(loss.detach())))
    torch.save(codec.state_dict(), checkpoint)
    return codec.eval()


def _spread(codes: Tensor) -> Tensor:
    """How far each channel is from mean 0 and deviation 1."""
    mean, deviation = codes.mean((0, 2, 3)), codes.std((0, 2, 3))
    return mean.square().mean() + (deviation - 1).square().mean()
