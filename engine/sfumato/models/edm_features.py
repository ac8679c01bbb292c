"""The features Frechet distances are named after: a residual network for CIFAR-10, as others trained it.

He et al., "Deep Residual Learning", 2016, section 4.2: 6n + 2 layers of 16, 32 and 64 channels, whose shortcuts keep
every second pixel and fill new channels with nothing. The shape is read off the names in the file.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from sfumato.errors import InputError

FEATURES = 64
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures those weights were trained on
_WIDTHS = (16, 32, 64)


class CifarResnet(nn.Module):
    """Pictures (B, 3, 32, 32) uint8 -> features (B, 64) float32, what the last layer sees; `classify` goes on to it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        befores = (16, 16, 32)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(before if i == 0 else width, width) for i in range(blocks)))
            for before, width in zip(befores, _WIDTHS, strict=True)
        )
        self.linear = nn.Linear(FEATURES, 10)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        x = (pictures.to(torch.float32) / 255 - self.mean) / self.deviation
        x = self.bn1(self.conv1(x.contiguous(memory_format=torch.channels_last))).relu()  # a third faster on the CPU
        for stage in self.stages:
            x = stage(x)
        features: Tensor = x.mean((2, 3))
        return features

    def classify(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, 32, 32) uint8 -> scores (B, 10)."""
        scores: Tensor = self.linear(self(pictures))
        return scores


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.stride, self.more = (1, 0) if before == after else (2, (after - before) // 2)
        self.conv1 = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        around = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        change: Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (change + around).relu()


def load_features(path: str | Path) -> CifarResnet:
    """The network of a file of `pytorch_resnet_cifar10` weights (resnet20 .. resnet56), ready to be asked.

    Such files are pickles: only tensors are read out of them, nothing in them is run. The product ships none.

    Raises:
        InputError: no such file, or its names are not this network's.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        named = {_renamed(name): weight for name, weight in stored.items()}
        blocks = 1 + max(int(name.split(".")[2]) for name in named if name.startswith("stages.0."))
        network = CifarResnet(blocks)
        network.load_state_dict(named)
    except Exception as error:
        raise InputError(
            f"{path} is no CIFAR-10 residual network: {error}", "see ../data/weights/cifar_resnet"
        ) from error
    return network.eval().requires_grad_(False)


def _renamed(name: str) -> str:
    name = name.removeprefix("module.")
    return f"stages.{int(name[5]) - 1}{name[6:]}" if name.startswith("layer") else name
