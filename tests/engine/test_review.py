"""Review pictures: of any frame, through the display, and of the places that deserve a look."""

import math

import pytest
import torch

from sfumato.matte import pictures
from sfumato.matte.review import Burn, ReviewFrame, look_first, review_shot
from sfumato.matte.sheet import contact_sheet, encoded


def show(rgb: torch.Tensor) -> torch.Tensor:
    x = rgb.clamp(0, 1)
    return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp_min(1e-9) ** (1 / 2.4) - 0.055)


def frame(n: int, height: int = 60, width: int = 90, **more) -> ReviewFrame:
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    distance = torch.hypot(x - width / 2 - n, y - height / 2)
    alpha = ((18 - distance) / 6 + 0.5).clamp(0, 1)[None]
    trimap = torch.full_like(alpha, 0.5)
    trimap[0][distance < 12] = 1
    trimap[0][distance > 24] = 0
    foreground = torch.tensor([0.8, 0.3, 0.1]).view(3, 1, 1).expand(3, height, width)
    background = torch.tensor([0.1, 0.4, 3.0]).view(3, 1, 1).expand(3, height, width)
    image = alpha * foreground + (1 - alpha) * background
    return ReviewFrame(image, trimap, more.pop("alpha", alpha), foreground, background, **more)


def size_of(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_a_shot_is_laid_out_with_the_jumping_frame_first():
    def load(n: int) -> ReviewFrame:
        good = frame(0)
        return frame(0, alpha=good.alpha * (0.5 if n == 1003 else 1.0), stats={"seconds": 1.5})

    review = review_shot([1001, 1002, 1003, 1004, 1005], load, show, burn=Burn("ab_010", "v003", "sfumato", "preview"))
    assert review.first[0][0] == 1003
    assert [row["frame"] for row in review.rows] == [1001, 1002, 1003, 1004, 1005]
    assert review.rows[0]["chatter"] is None
    assert review.rows[2]["chatter"] > 2 * review.rows[1]["chatter"] * 0.9
    assert review.rows[0]["residual"] == pytest.approx(0, abs=1e-6)
    assert review.rows[2]["residual"] > 0.1
    assert review.rows[0]["seconds"] == 1.5
    assert set(review.clip) == {"plate", "over grey", "alpha"}
    assert len(review.clip["alpha"]) == 5
    assert size_of(review.sheets["1003"])[0] > 480


def test_a_still_has_pictures_and_no_chatter():
    review = review_shot([7], lambda n: frame(0), show)
    assert review.rows[0]["chatter"] is None
    assert "alpha chatter" not in review.details[0].pictures
    assert size_of(review.details[0].pictures["alpha"]) == (90, 60)


def test_what_is_known_decides_what_is_shown():
    full = frame(0)
    more = {"confidence": torch.ones(1, 60, 90), "previous": full.alpha, "truth": full.alpha}
    shown = review_shot([1], lambda n: frame(0, **more), show, over=torch.rand(3, 6, 9)).details[0].pictures
    assert {"doubt", "previous alpha", "error", "over yours"} <= set(shown)
    plain = review_shot([1], lambda n: frame(0), show).details[0].pictures
    assert not {"doubt", "previous alpha", "error", "over yours"} & set(plain)
    assert {"over black", "over white", "over grey", "over complement", "over checker"} <= set(plain)
    assert {"alpha, gamma 0.2", "alpha, gamma 5", "residual", "foreground", "background"} <= set(plain)


@pytest.mark.parametrize(("height", "width"), [(33, 47), (16, 200), (1, 5)])
def test_any_size_is_shown(height: int, width: int):
    review = review_shot([1, 2], lambda n: frame(n, height, width), show)
    assert review.size == (width, height)


def test_holes_of_the_plate_are_shown_as_black_and_not_counted():
    def load(n: int) -> ReviewFrame:
        broken = frame(0)
        broken.image[0, 30, 45] = math.nan
        broken.image[1, 30, 20] = math.inf
        return broken

    review = review_shot([1], load, show)
    assert math.isfinite(review.rows[0]["residual"])


def test_frames_to_look_at_first_are_the_worst_of_each_number():
    rows = [{"frame": i, "residual": 0.01 * i, "confidence": 0.5 + 0.1 * (i != 2), "chatter": None} for i in range(5)]
    assert [frame for frame, _ in look_first(rows, 2)] == [4, 2]
    assert look_first([{"frame": 3}], 4) == [(3, "the first frame")]
    assert look_first([{"frame": 3, "residual": 2e-8}], 4) == [(3, "the first frame")]


def test_gamma_five_lifts_the_black_and_a_fifth_opens_the_white():
    alpha = torch.tensor([[[0.01, 0.95]]])
    assert pictures.viewer_gamma(alpha, 5)[0, 0, 0] > 0.3
    assert pictures.viewer_gamma(alpha, 0.2)[0, 0, 1] < 0.8


def test_the_complement_is_opposite_and_saturated():
    red = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1).expand(3, 4, 4)
    found = pictures.complement(red, torch.ones(1, 4, 4))
    assert found[0] < 0.05
    assert found[1] == pytest.approx(found[2])
    assert found[1] > 0.3
    grey = pictures.complement(torch.ones(3, 4, 4), torch.ones(1, 4, 4))
    assert max(grey) - min(grey) > 0.3


def test_light_under_alpha_zero_is_added():
    flame = torch.full((3, 2, 2), 0.5)
    composite = pictures.over(flame, torch.zeros(1, 2, 2), pictures.flat(0.18, flame))
    assert composite[0, 0, 0] == pytest.approx(0.68)


def test_heat_rises_from_black_to_light():
    scale = pictures.heat(torch.linspace(0, 2, 21).view(1, 1, 21), 1.0).sum(0)[0]
    assert scale[0] < 0.05
    assert (scale.diff() >= -1e-6).all()
    assert scale[10] == scale[20]


def test_the_worst_places_are_where_it_is_bad_and_apart():
    severity = torch.zeros(1, 200, 300)
    severity[0, 20:30, 250:260] = 1
    severity[0, 150:160, 40:50] = 0.5
    found = pictures.worst_places(severity, 48)
    assert len(found) >= 2
    left, top = found[0]
    assert left <= 255 <= left + 48
    assert top <= 25 <= top + 48
    assert pictures.worst_places(torch.zeros(1, 50, 50), 16) == []


def test_text_is_burnt_into_a_contact_sheet():
    tile = torch.zeros(3, 20, 30)
    with_words = contact_sheet([("alpha", tile)], "ab_010 v003 1001")
    without = contact_sheet([("", tile)], "")
    assert with_words.shape == without.shape
    assert (with_words - without).abs().max() > 0.5


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_pictures_are_the_same_bytes_each_time(extension: str):
    picture = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    assert encoded(picture, extension) == encoded(picture, extension)
