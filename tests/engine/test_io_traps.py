"""Files that break loaders, each read as it should be: real ones of the OpenEXR project, and one written by hand."""

import struct

import numpy as np
import pytest
import torch

from sfumato.color import choose_config, to_linear
from sfumato.errors import InputError
from sfumato.io import read_header, read_image, write_image
from sfumato.plate import Window
from sfumato.primaries import AP0, REC709, luminance_weights


@pytest.fixture
def traps(data):
    return data / "matting" / "exr_traps"


def test_ap0_by_chromaticities_keeps_its_primaries_and_says_so(traps, tmp_path):
    plate = read_image(traps / "Carrots.exr")
    linear, note = to_linear(plate, choose_config(None, None), None)
    assert linear.space == "ACES2065-1"
    assert "chromaticities" in note
    assert torch.equal(linear.pixels, plate.pixels)
    write_image(tmp_path / "a.exr", linear)
    back = read_image(tmp_path / "a.exr")
    assert back.space == "lin_ap0_scene"
    assert back.metadata["chromaticities"] == plate.metadata["chromaticities"]
    assert to_linear(back, choose_config(None, None), None)[0].space == "ACES2065-1"


def test_colour_under_alpha_zero_is_neither_divided_nor_zeroed(traps, tmp_path):
    plate = read_image(traps / "CandleGlass.exr")
    light = plate.rgb()[:, plate.channel("A")[0] == 0]
    assert (light > 0).any()
    write_image(tmp_path / "a.exr", plate, half=True)
    assert torch.equal(read_image(tmp_path / "a.exr").pixels, plate.pixels)


def test_luminance_chroma_reads_as_colour(traps):
    plate = read_image(traps / "CrissyField.exr")
    assert plate.channels == ("R", "G", "B")
    assert plate.pixels.shape == (3, 810, 1218)
    assert plate.rgb().isfinite().all()
    grey = plate.rgb().mean((1, 2))
    assert (grey.max() - grey.min()) / grey.mean() < 0.1  # a daylight photograph, not a green one
    assert (plate.rgb()[2] > plate.rgb()[0] + 0.02).float().mean() > 0.2  # with a sky


def test_deep_is_refused_with_a_sentence_and_known_from_the_header(traps):
    assert read_header(traps / "Leaves.exr").deep
    with pytest.raises(InputError, match="deep samples") as refused:
        read_image(traps / "Leaves.exr")
    assert "flatten it" in refused.value.hint
    assert refused.value.exit_code == 3


def test_a_data_window_that_is_not_the_display_window_survives_with_20_channels_and_two_views(traps, tmp_path):
    plate = read_image(traps / "singlepart.0005.exr")
    assert (plate.data, plate.display) == (Window(1073, 319, 916, 890), Window(0, 0, 2048, 1556))
    assert len(plate.channels) == 20
    write_image(tmp_path / "a.exr", plate, half=True, compression="zips")
    back = read_image(tmp_path / "a.exr")
    assert back.channels == plate.channels
    assert torch.equal(back.pixels, plate.pixels)
    assert (back.data, back.display, back.metadata) == (plate.data, plate.display, plate.metadata)
    left = read_image(traps / "singlepart.0005.exr", view="left", channels=("R", "G", "B", "A"))
    assert torch.equal(left.channel("R"), plate.channel("left.R"))
    whole = plate.on(plate.display)
    assert whole.rgb().shape == (3, 1556, 2048)
    assert torch.equal(whole.on(plate.data).pixels, plate.pixels)


def luma_exr(path, rgb, xy=None, alpha=None, left=0, top=0):
    """Write luminance-chroma EXR byte by byte: half, uncompressed, RY and BY at half the size."""

    def attribute(name, kind, data):
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(data)) + data

    height, width, _ = rgb.shape
    y = rgb @ np.array(luminance_weights(xy))
    planes = {"BY": ((rgb[..., 2] - y) / y, 2), "RY": ((rgb[..., 0] - y) / y, 2), "Y": (y, 1)}
    planes = planes if alpha is None else {"A": (alpha, 1), **planes}
    listed = b"".join(n.encode() + b"\0" + struct.pack("<iB3xii", 1, 0, s, s) for n, (_, s) in planes.items())
    box = struct.pack("<4i", left, top, left + width - 1, top + height - 1)
    head = struct.pack("<ii", 20000630, 2) + attribute("channels", "chlist", listed + b"\0")
    head += attribute("compression", "compression", b"\0") + attribute("lineOrder", "lineOrder", b"\0")
    head += attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box)
    head += attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += attribute("screenWindowCenter", "v2f", bytes(8)) + attribute(
        "screenWindowWidth", "float", struct.pack("<f", 1)
    )
    head += (attribute("chromaticities", "chromaticities", struct.pack("<8f", *xy)) if xy else b"") + b"\0"
    lines = []
    for row in range(top, top + height):
        line = b"".join(p[row - top, ::s].astype("<f2").tobytes() for p, s in planes.values() if row % s == 0)
        lines.append(struct.pack("<ii", row, len(line)) + line)
    starts = np.cumsum([len(head) + 8 * height, *(len(line) for line in lines[:-1])]).astype("<u8")
    path.write_bytes(head + starts.tobytes() + b"".join(lines))


@pytest.fixture
def smooth():
    y, x = np.mgrid[0:64, 0:80]
    return np.stack([0.2 + 0.6 * x / 80, 0.3 + 0.4 * y / 64, 0.5 + 0.3 * np.sin(x / 20) * np.cos(y / 20)], -1)


@pytest.mark.parametrize("xy", [None, REC709.xy, AP0.xy])
@pytest.mark.parametrize("alpha", [False, True])
def test_subsampled_chroma_becomes_colour_by_the_files_own_primaries(tmp_path, smooth, xy, alpha):
    ramp = np.mgrid[0:64, 0:80][1] / 80
    luma_exr(tmp_path / "y.exr", smooth, xy, ramp if alpha else None)
    plate = read_image(tmp_path / "y.exr")
    inside = slice(8, -8)
    error = (plate.rgb().permute(1, 2, 0).numpy() - smooth)[inside, inside]
    assert np.abs(error).max() < 2e-3
    assert plate.channels == (("R", "G", "B", "A") if alpha else ("R", "G", "B"))
    if alpha:
        assert np.abs(plate.channel("A")[0].numpy() - ramp).max() < 5e-4


def test_subsampled_chroma_with_an_offset_window_is_refused_with_a_sentence(tmp_path, smooth):
    luma_exr(tmp_path / "y.exr", smooth, left=-10, top=20)
    with pytest.raises(InputError, match="luminance-chroma") as refused:
        read_image(tmp_path / "y.exr")
    assert "R, G, B" in refused.value.hint


def test_every_real_clip_frame_and_photograph_has_a_colour_space_and_finite_pixels(data):
    config = choose_config(None, None)
    for path in sorted((data / "matting" / "clips").glob("*/plate.0001.exr")):
        plate, note = to_linear(read_image(path), config, None)
        assert plate.space == "Linear Rec.709 (sRGB)"
        assert "taken as scene-linear Rec.709" in note
        assert not plate.holes().any()
    for path in sorted((data / "matting" / "alphamatting" / "image").glob("*.png")):
        plate, note = to_linear(read_image(path), config, None)
        assert plate.coded
        assert "display-coded" in note
    trimap = read_image(next((data / "matting" / "alphamatting" / "trimap1").glob("*.png"))).matte()
    assert set((trimap * 255).unique().tolist()) <= {0.0, 128.0, 255.0}  # a trimap's values are data
