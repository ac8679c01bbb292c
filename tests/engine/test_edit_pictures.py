"""Edits that show something, by a network that knows two pictures by heart; real plates; and the sheet to look at."""

import tempfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from sfumato.color import choose_config, to_linear
from sfumato.diffusion.display import display_of
from sfumato.diffusion.edit import Edit, EditSettings, edit_plate
from sfumato.diffusion.protocols import Context, Prediction
from sfumato.diffusion.schedule import Node, scaled_linear
from sfumato.diffusion.sheet import edit_sheet, facts
from sfumato.diffusion.window import choose_view, seen
from sfumato.io import read_image, write_image
from sfumato.models.codecs import Pixels
from sfumato.models.model import Levels, Model
from sfumato.plate import Plate, Window

RED, BLUE = "a red ball on grass", "a blue ball on grass"
WHOLE = EditSettings(steps=20, strength=1.0, guidance=1.0)


class Titles:
    """Prompts as the number of a picture."""

    def __call__(self, prompts: list[str]) -> Context:
        return Context(torch.tensor([[[float(prompt == BLUE)]] for prompt in prompts]))

    def tokens(self, prompt: str) -> list[tuple[str, int, int]]:
        return [(prompt, 0, len(prompt))]

    def cut(self, prompt: str) -> str:
        return ""


class Remembering(nn.Module):
    """The exact denoiser of pictures (3, h, w) spread around one for each prompt."""

    prediction: Prediction = "eps"
    spread = 0.1

    def __init__(self, pictures: list[Tensor]) -> None:
        super().__init__()
        self.means = nn.Parameter(2 * torch.stack(pictures) - 1)

    def forward(self, latent: Tensor, node: Node, context: Context) -> Tensor:
        mean = self.means[context.tokens[:, 0, 0].long()]
        return node.sigma / ((node.alpha * self.spread) ** 2 + node.sigma**2) * (latent - node.alpha * mean)


def shown(plate: Plate) -> Tensor:
    return seen(plate, choose_view(plate, (32, 32), 4), display_of(plate))


def remembering(*pictures: Tensor) -> Model:
    network, levels = Remembering(list(pictures)), Levels("eps", scaled_linear())
    return Model("two pictures", "MIT", "two pictures", network, Pixels(), Titles(), levels, (32, 32), 4, network)


def scene(ball: tuple[float, float, float], size: int = 96, space: str | None = None) -> Plate:
    """A ball of a colour of Rec.709 on a green ground, with grain, in a space's own primaries."""
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    inside = (size * 0.28 + 0.5 - ((x - size / 2) ** 2 + (y - size / 2) ** 2).sqrt()).clamp(0, 1)
    ground, thing = (torch.tensor(c).view(3, 1, 1) for c in ((0.05, 0.25, 0.04), ball))
    light = ground * (1 - inside) + thing * inside
    window = Window(0, 0, size, size)
    plate = Plate(light, ("R", "G", "B"), space, window, window)
    grain = 0.01 * torch.randn(3, size, size, generator=torch.Generator().manual_seed(4))
    return plate.replace(pixels=display_of(plate).back(light) + grain)


def same_bits(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


def exact(found: Edit) -> bool:
    return found.recon_digest == found.replay_digest


@pytest.mark.parametrize("space", [None, "ACEScg"])
def test_a_red_ball_becomes_blue_in_the_plates_own_primaries_and_the_ground_keeps_its_bits(space: str | None) -> None:
    before, after = scene((0.6, 0.03, 0.03), space=space), scene((0.03, 0.05, 0.6), space=space)
    found = edit_plate(before, RED, BLUE, remembering(shown(before), shown(after)), WHOLE)
    centre = (slice(None), slice(36, 60), slice(36, 60))
    torch.testing.assert_close(
        found.pixels[centre].mean((1, 2)), after.pixels[centre].mean((1, 2)), rtol=0.05, atol=0.01
    )
    assert float(found.pixels[centre].std((1, 2)).mean()) == pytest.approx(0.01, rel=0.2)
    assert same_bits(found.pixels[:, :10], before.pixels[:, :10])
    assert exact(found)


def test_a_lamp_of_50_is_taken_away_by_words_alone() -> None:
    before, after = scene((50.0, 50.0, 40.0)), scene((0.05, 0.25, 0.04))
    found = edit_plate(before, RED, BLUE, remembering(shown(before), shown(after)), WHOLE)
    assert float(before.pixels.max()) > 49
    assert float((found.pixels - after.pixels).abs().max()) < 0.1  # two grains apart: ten sigma of each
    assert float(avg_pool2d((found.pixels - after.pixels)[None], 8).abs().max()) < 0.02


def test_the_noise_that_was_reached_is_described() -> None:
    """A picture spread as the network expects leads to noise of deviation 1, and one half as far to half as much."""
    mean, drawn = torch.full((3, 32, 32), 0.5), torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    window, model = Window(0, 0, 32, 32), remembering(mean, mean)
    for part in (1.0, 0.5):
        picture = (mean + part * Remembering.spread / 2 * drawn).clamp(0, 1)
        plate = Plate(picture, ("R", "G", "B"), None, window, window, coded=True)
        noise = edit_plate(plate, RED, BLUE, model, WHOLE).latents
        assert noise["node"] == 20
        assert noise["deviation"] == pytest.approx(part, rel=0.05)
        assert abs(noise["mean"]) < 0.05
        assert abs(noise["neighbours"]) < 0.05
        assert abs(noise["kurtosis"]) < 0.25  # of 3072 draws: .09 from 0, give or take


REAL = [
    "clips/leopard_clip/plate.0001.exr",
    "clips/beachball_clip/plate.0004.exr",
    "clips/leaves_still/plate.0001.exr",
    "exr_traps/Carrots.exr",
    "exr_traps/CandleGlass.exr",
    "exr_traps/CrissyField.exr",
    "exr_traps/singlepart.0005.exr",
]


@pytest.mark.parametrize("name", REAL)
def test_a_real_plate_comes_back_bit_for_bit_in_its_file_and_the_trip_was_made(
    name: str, data: Path, tmp_path: Path
) -> None:
    """Source = target, strength 0, and a mask of zeros with another target: HDR of 413, negative values, grain."""
    file = data / "matting" / name
    if not file.is_file():
        pytest.skip(f"no {file}")
    plate, _ = to_linear(read_image(file), choose_config(None, None), None)
    model = remembering(shown(plate), shown(plate).flip(2))
    nothing = torch.zeros(1, plate.height, plate.width)
    for target, strength, mask in ((RED, 0.8, None), (BLUE, 0.0, None), (BLUE, 0.8, nothing)):
        found = edit_plate(plate, RED, target, model, EditSettings(steps=5, strength=strength), mask)
        assert same_bits(found.pixels, plate.rgb())
        assert exact(found)
        assert found.calls["source"] == found.calls["target"] == found.calls["up"] - 4 >= 1
    write_image(tmp_path / "a.exr", found.applied(plate))
    back = read_image(tmp_path / "a.exr")
    for channel in plate.channels:
        assert same_bits(back.channel(channel), plate.channel(channel))
    assert (back.data, back.display) == (plate.data, plate.display)


@pytest.mark.parametrize("name", REAL[:2])
def test_on_a_real_plate_everything_outside_the_mask_keeps_its_bits(name: str, data: Path) -> None:
    file = data / "matting" / name
    if not file.is_file():
        pytest.skip(f"no {file}")
    plate = read_image(file)
    mask = torch.zeros(1, plate.height, plate.width)
    mask[:, 100:300, 200:400] = torch.linspace(0, 1, 200)
    view = choose_view(plate, (32, 32), 4, mask)
    picture = seen(plate, view, display_of(plate))
    found = edit_plate(plate, RED, BLUE, remembering(picture, 1 - picture), WHOLE, mask)
    outside = (mask == 0).expand(3, -1, -1)
    assert same_bits(found.pixels[outside], plate.rgb()[outside])
    assert float((found.pixels != plate.rgb())[~outside].float().mean()) > 0.9
    assert torch.equal(plate.rgb() + found.delta, found.pixels)


def test_the_sheet_shows_plate_reconstruction_edit_and_difference(tmp_path: Path) -> None:
    before, after = scene((0.6, 0.03, 0.03)), scene((0.03, 0.05, 0.6))
    before.pixels[:, 3, 3] = float("nan")
    found = edit_plate(before, RED, BLUE, remembering(shown(before), shown(after)), WHOLE)
    display = display_of(before)
    png = edit_sheet(found, before, lambda rgb: display.encode(display.light(rgb)), "ab_010   v003   1001")
    (tmp_path / "sheet.png").write_bytes(png)
    sheet = read_image(tmp_path / "sheet.png").rgb()
    assert sheet.shape[2] == 3 * (480 + 12) + 12
    width = 480 + 12
    plate, edited, difference = (sheet[:, 44 + 240, 12 + 240 + i * width] for i in range(3))
    assert float(plate[0] - plate[2]) > 0.3  # a red ball in the first
    assert float(edited[2] - edited[0]) > 0.3  # a blue one in the second
    assert float(difference.max()) == 1.0
    assert float(sheet[:, 50:60, 12 + 2 * width + 6 : 12 + 2 * width + 60].abs().max()) == 0.0  # no change: black
    said = dict(facts(found))
    assert said["round trip"] == "exact to the bit"
    assert said["network calls"] == "61: up 23, source 19, target 19"


def test_a_sheet_of_a_broken_trip_says_so() -> None:
    before = scene((0.6, 0.03, 0.03), 40)
    found = edit_plate(
        before, RED, BLUE, remembering(shown(before), shown(before)), EditSettings(steps=5, method="ddim")
    )
    assert dict(facts(found))["round trip"] == "not exact"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.png").write_bytes(edit_sheet(found, before, lambda rgb: rgb.clamp(0, 1), ""))
        assert read_image(Path(folder, "a.png")).rgb().isfinite().all()
