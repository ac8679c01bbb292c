"""A codec of pictures twice as large, for the codes of one that is trained: a network that knows the codes draws twice
as many pixels, and need not learn anew."""

from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from sfumato.models.training.codec import CHANNELS, NOISE
from sfumato.models.training.placement import placed_scenes
from sfumato.models.training.render import render
from sfumato.report import Report, Step, silent

SIZE = 64
FIRST, LAST = 2, 11  # the new layers: those of the encoder before, of the decoder from here on


def make_larger() -> Any:
    """diffusers' AutoencoderTiny with one stage more than `make_codec`, untrained."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(40, 40, 40, 40),
        decoder_block_out_channels=(40, 40, 40, 40),
        num_encoder_blocks=(0, 1, 1, 2),
        num_decoder_blocks=(2, 1, 1, 1),
        latent_channels=CHANNELS,
        scaling_factor=1.0,
        shift_factor=0.0,
    )


def train_larger(
    codec: Any, steps: int, checkpoint: Path, batch: int = 24, rate: float = 3e-3, report: Report = silent
) -> Any:
    """Train a larger codec's outer layers on rendered scenes, or take the one in the checkpoint.

    Its encoder is to make of a picture what `codec` makes of one half as large; its decoder, of such codes with a
    little noise, the picture. What they have in common is the codec's, and stays as it is.

    Args:
        codec: From `train_codec` or `carried_codec`, at rest.
        steps: Of the optimiser.
        checkpoint: Where it is kept once trained.
        batch: Pictures a step.
        rate: Peak learning rate.
        report: Is told of each step.
    """
    larger = _begun(codec)
    if checkpoint.exists():
        larger.load_state_dict(torch.load(checkpoint, weights_only=True))
        return larger.eval()
    encoder, decoder = larger.encoder.layers, larger.decoder.layers
    learning = [*encoder[:FIRST].parameters(), *decoder[LAST:].parameters()]
    larger.requires_grad_(False)
    for weight in learning:
        weight.requires_grad_(True)
    optimiser = torch.optim.AdamW(learning, rate, (0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.1)
    for step in range(steps):
        loss = _loss(codec, larger, _pictures(step, batch), torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        schedule.step()
        report(Step("larger codec", step + 1, steps, loss=float(loss.detach())))
    torch.save(larger.state_dict(), checkpoint)
    return larger.eval()


def _loss(codec: Any, larger: Any, pictures: Tensor, generator: torch.Generator) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=pictures.device.type == "cpu"):
        with torch.no_grad():
            codes = codec.encoder(avg_pool2d(pictures, 2)).float()
            noisy = codes + NOISE * torch.randn(codes.shape, generator=generator)
        drawn = larger.decoder(noisy).float()
        told = larger.encoder(pictures).float()
    error: Tensor = (drawn - pictures).square().mean() + 0.1 * (told - codes).square().mean()
    return error


def _pictures(step: int, batch: int) -> Tensor:
    pictures = 2 * render(list(islice(placed_scenes(7_000_003 + step), batch)), SIZE)[0] - 1
    return pictures.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _begun(codec: Any) -> Any:
    """All that the two have in common copied; the new end begins as the old one on features drawn twice as large."""
    larger = make_larger()
    for old, new in ((codec.encoder.layers, larger.encoder.layers), (codec.decoder.layers, larger.decoder.layers)):
        shift = len(new) - len(old) if old is codec.encoder.layers else 0
        for number, layer in enumerate(old):
            if (number > 0) if shift else (number < LAST - 1):
                new[number + shift].load_state_dict(layer.state_dict())
    first, second = larger.encoder.layers[0], larger.encoder.layers[1]
    nn.init.dirac_(first.weight)
    nn.init.zeros_(first.bias)
    old_first = codec.encoder.layers[0]
    second.weight.zero_()
    second.weight[:, :3] = old_first.weight
    second.weight[:, 3, 1, 1] = old_first.bias  # this one has no bias of its own, so a channel is always 1
    first.bias[3] = 1.0
    nn.init.dirac_(larger.decoder.layers[LAST].weight)
    larger.decoder.layers[LAST + 2].load_state_dict(codec.decoder.layers[LAST - 1].state_dict())
    return larger.to(memory_format=torch.channels_last)
