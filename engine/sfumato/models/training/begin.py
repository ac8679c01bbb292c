"""Where a training begins: weights drawn from a seed, and from no global state."""

from torch import nn

from sfumato.device import seeded


def begin(network: nn.Module, seed: int, *words: str) -> None:
    """Draw every weight anew: matrices and kernels uniform (Glorot and Bengio 2010), embeddings small, biases 0."""
    generator = seeded(seed, *words)
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02, generator=generator)
        elif isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
