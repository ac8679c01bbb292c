"""Networks that others trained, on real pictures: the trip comes back to the bit, and noise looks like noise.

Two small networks for MNIST in the shared data, both under the MIT licence: one predicts the noise (Yichi Zhang), one
the picture, on a straight flow (Sofia Dominguez). Their shapes are read off their own state dictionaries. A picture
enters with the noise of the grid's first level, as every latent on a grid has it: exactly black paper is a thing that
neither network has seen.
"""

import gzip
import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.protocols import Prediction
from sfumato.diffusion.schedule import Grid, Node, Table, table_grid
from sfumato.diffusion.walk import arithmetic, invert, latent, reinvert, resample, sample

COUNT, STEPS = 8, 20


class Noise(nn.Module):
    """Convolutions of 7 x 7, each with a norm over the whole map; the time is added after the first."""

    prediction: Prediction = "eps"

    def __init__(self) -> None:
        super().__init__()
        widths, self.act = (1, 16, 32, 32, 16), nn.GELU()
        self.register_buffer("frequencies", torch.zeros(16))
        self.blocks = nn.ModuleList()
        for a, b in itertools.pairwise(widths):
            layers = nn.Conv2d(a, b, 7, padding=3), nn.LayerNorm((b, 28, 28)), self.act
            self.blocks.append(nn.ModuleDict({"net": nn.Sequential(*layers)}))
        self.blocks.append(nn.Conv2d(16, 1, 3, padding=1))
        rows: list[nn.Module] = []
        for a, b in ((32, 128), (128, 128), (128, 128), (128, 16)):
            rows += [nn.Linear(a, b), self.act]
        self.time_embed = nn.Sequential(*rows[:-1])

    @torch.no_grad()
    def __call__(self, z: Tensor, node: Node) -> Tensor:
        phase = node.time / 1000 * self.frequencies
        time = self.time_embed(torch.cat([phase.sin(), phase.cos() - 1])[None])[:, :, None, None]
        z = self.blocks[0]["net"](z) + time
        for block in self.blocks[1:-1]:
            z = block["net"](z)
        return self.blocks[-1](z)


class Picture(nn.Module):
    """Sixteen patches, two tokens for the time and two for the digit, through a transformer."""

    prediction: Prediction = "x0"

    def __init__(self, digits: Tensor) -> None:
        super().__init__()
        self.digits = digits
        self.patch_embed, self.unpatch = nn.Conv2d(1, 64, 7, 7), nn.ConvTranspose2d(64, 1, 7, 7)
        self.pos_embed, self.y_encoder = nn.Parameter(torch.zeros(1, 16, 64)), nn.Embedding(11, 128)
        layer = (nn.TransformerEncoderLayer(64, 4, 256, 0.0, "gelu", batch_first=True) for _ in range(4))
        self.transformer = nn.Sequential(*layer)

    @torch.no_grad()
    def __call__(self, z: Tensor, node: Node) -> Tensor:
        phase = (1 - node.time) * torch.exp(-math.log(1e4) / 63 * torch.arange(64))
        time = torch.cat([phase.sin(), phase.cos()]).view(1, 2, 64).expand(len(z), 2, 64)
        patches = self.patch_embed(z).flatten(2).transpose(1, 2) + self.pos_embed
        tokens = torch.cat([patches, time, self.y_encoder(self.digits).view(-1, 2, 64)], 1)
        return self.unpatch(self.transformer(tokens)[:, :16].transpose(1, 2).reshape(-1, 64, 4, 4))


def found(data: Path, *parts: str) -> Path:
    path = data.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"no {'/'.join(parts)} in the test data")
    return path


@pytest.fixture(scope="module")
def digits(data: Path) -> tuple[Tensor, Tensor]:
    """Real pictures (B, 1, 28, 28) in 0..1, and which digits they are."""
    pictures, labels = (
        gzip.decompress(found(data, "images", "mnist", f"t10k-{name}-ubyte.gz").read_bytes())
        for name in ("images-idx3", "labels-idx1")
    )
    kinds = torch.tensor(list(labels[8 : 8 + COUNT]))
    return torch.tensor(list(pictures[16 : 16 + 784 * COUNT])).view(-1, 1, 28, 28) / 255, kinds


@pytest.fixture(scope="module", params=["noise prediction", "picture prediction, flow"])
def real(request: pytest.FixtureRequest, data: Path, digits: tuple[Tensor, Tensor]) -> tuple[nn.Module, Grid, Tensor]:
    """A trained network, a grid over its own levels, and the pictures as it takes them."""
    pictures, kinds = digits
    if request.param.startswith("noise"):
        path = found(data, "weights", "mnist_ddpm_yichizz", "ddpm_mnist_starter.pth")
        state = torch.load(path, weights_only=True, map_location="cpu")
        network: nn.Module = Noise()
        network.load_state_dict({name[3:]: x for name, x in state.items() if name.startswith("gt.")})
        table = Table(tuple(float(x) for x in state["alpha_t"].double()))
        grid = table_grid(table, [20 + 49 * i for i in range(STEPS + 1)])
        return network.eval(), grid, pictures - 0.5
    path = found(data, "weights", "mnist_flow_sofia", "DiffusionViT.pth")
    network = Picture(kinds)
    network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    nodes = tuple(Node(t, 1 - t, t) for t in (0.1 + 0.9 * i / STEPS for i in range(STEPS + 1)))
    low, high = Node(0.1225, 0.8775, 0.1225), Node(0.9775, 0.0225, 0.9775)
    return network.eval(), Grid("flow", nodes, low, high), pictures


def entered(grid: Grid, pictures: Tensor) -> tuple[Tensor, Tensor]:
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(3))
    return grid.nodes[0].alpha * pictures + grid.nodes[0].sigma * noise, noise


def test_the_network_is_put_together_as_it_was_trained(real: tuple[nn.Module, Grid, Tensor]) -> None:
    """Half way to noise it knows what it was trained to; told the time another way, a fifth as well."""
    network, grid, pictures = real
    node = min(grid.nodes, key=lambda n: abs(n.alpha - n.sigma))
    _, noise = entered(grid, pictures)
    answer = network(node.alpha * pictures + node.sigma * noise, node)
    wanted = noise if network.prediction == "eps" else pictures
    assert float((answer - wanted).square().mean() / wanted.var()) < (0.05 if network.prediction == "eps" else 0.3)


def test_real_pictures_come_back_to_the_bit_and_their_noise_is_near_normal(
    real: tuple[nn.Module, Grid, Tensor],
) -> None:
    network, grid, pictures = real
    plan = make_plan(grid)
    clean, _ = entered(grid, pictures)
    out = invert(plan, network, clean)
    home = resample(plan, network, out, verify=True)
    assert torch.equal(home.pair.cleaner, arithmetic(plan).enter(clean))
    noise = latent(plan, out)
    spread, near = float(noise.std()), 0.05 if network.prediction == "eps" else 0.1
    assert spread == pytest.approx(1, abs=near)
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float((noise / spread).pow(4).mean()) == pytest.approx(3, abs=10 * near)  # of a normal variable, 3
    beside = torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()])
    assert float(torch.corrcoef(beside)[0, 1]) == pytest.approx(0, abs=0.1)


def test_noise_becomes_digits_and_comes_back_to_the_bit(real: tuple[nn.Module, Grid, Tensor]) -> None:
    network, grid, pictures = real
    plan = make_plan(grid)
    _, noise = entered(grid, pictures)
    down = sample(plan, network, noise)
    assert torch.equal(reinvert(plan, network, down).pair.noisier, arithmetic(plan).enter(noise))
    assert not down.bits.steps
    found, dark = latent(plan, down), pictures.min()
    assert float((found - dark).mean()) == pytest.approx(float((pictures - dark).mean()), rel=0.35)  # as much ink
