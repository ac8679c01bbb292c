"""Trimaps between keyframes."""

import os
from pathlib import Path

import pytest
import torch
from torch.nn.functional import interpolate

from sfumato.errors import RequestError
from sfumato.matte.propagate import propagate
from sfumato.matte.trimap import classify, from_roto

DATA = Path(os.environ.get("SFUMATO_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
HEIGHT, WIDTH = 80, 120


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    noise = torch.rand(1, 3, height // 5, width // 5, generator=torch.Generator().manual_seed(seed))
    return interpolate(noise, (height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)


def shot(speed: float, frames: int = 7) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Plates and exact alphas of a textured disc that moves `speed` pixels a frame over a still texture."""
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    subject, behind = texture(1, HEIGHT, 2 * WIDTH) + 0.3, 0.6 * texture(2)
    plates, alphas = [], []
    for frame in range(frames):
        shift = round(speed * (frame - frames // 2))
        alpha = (((x - WIDTH // 2 - shift) ** 2 + (y - HEIGHT // 2) ** 2) <= 22**2).float()[None]
        moved = torch.roll(subject, shift, 2)[:, :, :WIDTH]
        plates.append(alpha * moved + (1 - alpha) * behind)
        alphas.append(alpha)
    return plates, alphas


@pytest.mark.parametrize("speed", [0.0, 2.0, 4.0])
def test_an_in_between_never_claims_what_is_not_so(speed):
    plates, alphas = shot(speed)
    keys = {0: from_roto(alphas[0], 3, 3), 6: from_roto(alphas[6], 3, 3)}
    for frame, trimap in propagate(keys, plates.__getitem__, range(7)):
        wrong = ((trimap == 1) & (alphas[frame] < 1)) | ((trimap == 0) & (alphas[frame] > 0))
        assert int(wrong.sum()) <= 0.001 * HEIGHT * WIDTH
        assert float((trimap != 0.5).float().mean()) > 0.4


def test_a_moving_subject_is_followed_rather_than_given_up():
    plates, alphas = shot(4.0)
    keys = {0: from_roto(alphas[0], 3, 3), 6: from_roto(alphas[6], 3, 3)}
    middle = dict(propagate(keys, plates.__getitem__, [3]))[3]
    still = (keys[0] == 1) & (keys[6] == 1)  # all that would be left without motion
    assert int((middle == 1).sum()) > int(still.sum())


def test_a_key_comes_back_as_painted():
    plates, alphas = shot(2.0)
    keys = {0: from_roto(alphas[0], 2, 2), 6: from_roto(alphas[6], 4, 4)}
    found = dict(propagate(keys, plates.__getitem__, [0, 6]))
    assert all(torch.equal(found[key], keys[key]) for key in keys)


def test_where_two_keys_disagree_on_a_still_plate_nothing_is_known():
    plate = texture(3)
    one, other = torch.zeros(1, HEIGHT, WIDTH), torch.zeros(1, HEIGHT, WIDTH)
    one[:, 20:60, 10:60] = 1
    other[:, 20:60, 40:90] = 1
    middle = dict(propagate({1: one, 3: other}, lambda _: plate, [2]))[2]
    assert torch.all(middle[one != other] == 0.5)
    assert torch.all(middle[:, 30:50, 45:55] == 1)
    assert torch.all(middle[:, :15] == 0)


def test_outside_the_keys_the_nearest_decides_with_more_care():
    plate = texture(4)
    key = from_roto(shot(0)[1][0], 2, 2)
    found = dict(propagate({5: key, 9: key}, lambda _: plate, [3, 7]))
    assert int((found[3] == 0.5).sum()) > int((found[7] == 0.5).sum()) > int((key == 0.5).sum())


def test_any_cut_of_the_shot_gives_the_same_trimaps():
    plates, alphas = shot(3.0)
    keys = {0: from_roto(alphas[0], 3, 3), 6: from_roto(alphas[6], 3, 3)}
    together = dict(propagate(keys, plates.__getitem__, range(7)))
    for frame in (2, 5):
        assert torch.equal(dict(propagate(keys, plates.__getitem__, [frame]))[frame], together[frame])


def test_no_key_at_all_is_a_sentence():
    with pytest.raises(RequestError, match="no trimap was given"):
        list(propagate({}, lambda _: texture(0), [1]))


def test_a_plate_of_another_size_is_a_sentence_with_both_sizes():
    with pytest.raises(RequestError, match=r"60x40.*120x80"):
        list(propagate({1: torch.zeros(1, HEIGHT, WIDTH)}, lambda _: texture(0, 40, 60), [2]))


@pytest.mark.skipif(not (DATA / "matting" / "clips").exists(), reason=f"no test data at {DATA}")
def test_the_beach_ball_between_two_keys_is_almost_never_claimed_wrongly():
    oiio = pytest.importorskip("OpenImageIO")

    def load(name: str, frame: int) -> torch.Tensor:
        path = next((DATA / "matting" / "clips" / "beachball_clip").glob(f"{name}.{frame:04d}.*"))
        pixels = torch.from_numpy(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)).permute(2, 0, 1)
        return pixels[:, :570, :900]

    keys = {frame: classify(load("trimap", frame)) for frame in (1, 5)}
    for frame, trimap in propagate(keys, lambda frame: load("plate", frame), [2, 3, 4]):
        truth = load("gt_premult", frame)[3:]
        wrong = ((trimap == 1) & (truth < 0.99)) | ((trimap == 0) & (truth > 0.01))
        unknown, missed = float((trimap == 0.5).float().mean()), float(wrong.float().mean())
        print(f"frame {frame}: {unknown:.1%} unknown, {missed:.3%} wrong")
        assert missed < 2e-3
