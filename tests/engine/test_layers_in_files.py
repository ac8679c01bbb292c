"""Layers, views and parts: what is meant, and what to say when it is not there."""

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from sfumato.errors import InputError, RequestError
from sfumato.io import read_header, read_image


def save(path, *parts):
    """An EXR of several parts; each is (attributes, {channel: constant value}), 4 x 3 pixels, windows by index."""
    specs, pictures = [], []
    for index, (said, channels) in enumerate(parts):
        spec = oiio.ImageSpec(4, 3, len(channels), oiio.HALF)
        spec.channelnames = tuple(channels)
        spec.x = index
        for name, value in said.items():
            if isinstance(value, tuple):
                spec.attribute(name, oiio.TypeDesc(f"string[{len(value)}]"), value)
            else:
                spec.attribute(name, value)
        specs.append(spec)
        pictures.append(np.broadcast_to(np.array(list(channels.values()), np.float32), (3, 4, len(channels))).copy())
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs)) if len(specs) > 1 else out.open(str(path), specs[0]), out.geterror()
    for index, (spec, picture) in enumerate(zip(specs, pictures, strict=True)):
        assert not index or out.open(str(path), spec, "AppendSubimage"), out.geterror()
        assert out.write_image(picture), out.geterror()
    out.close()
    return path


def values(plate):
    return {name: plate.channel(name)[0, 0, 0].item() for name in plate.channels}


@pytest.fixture
def layered(tmp_path):
    return save(tmp_path / "l.exr", ({}, {"R": 1, "G": 2, "B": 3, "A": 4, "fg.R": 5, "fg.G": 6, "fg.B": 7, "Z": 8}))


@pytest.fixture
def parts(tmp_path):
    return save(
        tmp_path / "p.exr",
        ({"name": "depth.left", "view": "left"}, {"Z": 1}),
        ({"name": "rgba.left", "view": "left"}, {"R": 2, "G": 3, "B": 4}),
        ({"name": "rgba.right", "view": "right"}, {"R": 5, "G": 6, "B": 7}),
        ({"name": "fg.right", "view": "right"}, {"R": 8, "G": 9, "B": 10}),
    )


@pytest.fixture
def stereo(tmp_path):
    said = {"multiView": ("right", "left")}
    return save(
        tmp_path / "s.exr", (said, {"R": 1, "G": 2, "B": 3, "left.R": 4, "left.G": 5, "left.B": 6, "fg.left.R": 7})
    )


def test_a_layer_comes_without_its_prefix(layered):
    assert values(read_image(layered, layer="fg")) == {"R": 5, "G": 6, "B": 7}
    assert values(read_image(layered, layer="rgba")) == {"R": 1, "G": 2, "B": 3, "A": 4, "Z": 8}


def test_without_a_layer_everything_comes_as_the_file_names_it(layered):
    plate = read_image(layered)
    assert values(plate) == {"R": 1, "G": 2, "B": 3, "A": 4, "fg.R": 5, "fg.G": 6, "fg.B": 7, "Z": 8}


def test_channels_come_in_the_order_asked_for(layered):
    assert read_image(layered, channels=("Z", "fg.B", "A")).pixels[:, 0, 0].tolist() == [8, 7, 4]


def test_the_plate_of_a_file_of_parts_is_the_first_with_colour(parts):
    plate = read_image(parts)
    assert values(plate) == {"R": 2, "G": 3, "B": 4}
    assert (plate.view, plate.data.left) == ("left", 1)


def test_a_part_may_be_asked_for_by_number_view_or_layer(parts):
    assert values(read_image(parts, part=0)) == {"Z": 1}
    assert values(read_image(parts, view="right")) == {"R": 5, "G": 6, "B": 7}
    assert values(read_image(parts, view="right", layer="fg")) == {"R": 8, "G": 9, "B": 10}
    assert values(read_image(parts, layer="depth")) == {"Z": 1}
    assert read_image(parts, layer="depth").data.left == 0


def test_a_view_in_a_single_part_comes_without_its_name(stereo):
    assert read_header(stereo).views == ("right", "left")
    assert values(read_image(stereo, view="right")) == {"R": 1, "G": 2, "B": 3}
    assert values(read_image(stereo, view="left")) == {"R": 4, "G": 5, "B": 6, "fg.R": 7}
    assert "multiView" not in read_image(stereo, view="left").metadata


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"layer": "bg"}, "has no layer bg", "fg"),
        ({"part": 3}, "has no part 3", "0"),
        ({"view": "left"}, "has no view left", "leave the view out"),
        ({"channels": ["R", "Q"]}, "has no channel Q", "fg.R"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(layered, asked, message, hint):
    with pytest.raises(RequestError, match=message) as refused:
        read_image(layered, **asked)
    assert hint in refused.value.hint
    assert str(layered) in refused.value.message


def test_luminance_chroma_at_full_size_becomes_colour_by_the_files_own_weights(tmp_path):
    red, green, blue = 0.5, 0.25, 2.0
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    said = {"Y": luma, "RY": (red - luma) / luma, "BY": (blue - luma) / luma, "A": 0.5}
    path = save(tmp_path / "y.exr", ({}, said))
    for plate in (read_image(path), read_image(path, channels=("R", "G", "B"))):
        assert plate.rgb()[:, 0, 0].tolist() == pytest.approx([red, green, blue], rel=2e-3)
    assert read_image(path).channels == ("R", "G", "B", "A")


def test_a_picture_of_luminance_alone_stays_one_channel(tmp_path):
    path = save(tmp_path / "y.exr", ({}, {"Y": 0.5}))
    assert read_image(path).channels == ("Y",)
    with pytest.raises(InputError, match="no channel A"):
        read_image(path).channel("A")
