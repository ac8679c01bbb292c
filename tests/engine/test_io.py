"""One image in, one image out: everything a file says comes back, and errors say what to do."""

import math
import re
import subprocess
import sys

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import InputError, RequestError
from sfumato.io import file_hash, read_header, read_image, write_image
from sfumato.plate import Plate, Window

floats = st.floats(width=32)  # NaN, infinities, subnormals and -0.0 among them
attributes = st.dictionaries(
    st.from_regex(r"show_[a-z]{1,8}", fullmatch=True),
    st.one_of(
        st.integers(-(2**31), 2**31 - 1),
        st.floats(width=32, allow_nan=False),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
        st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=8).map(tuple),
        st.lists(st.integers(0, 99), min_size=2, max_size=5).map(tuple),
    ),
    max_size=5,
)
names = st.lists(
    st.sampled_from(["R", "G", "B", "A", "Z", "fg.R", "fg.G", "bg.B", "confidence.A", "x.y.z", "N"]),
    unique=True,
    min_size=1,
)


@st.composite
def plates(draw, values=floats):
    channels = tuple(draw(names))
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    few = draw(st.lists(values, min_size=1, max_size=12))
    pixels = torch.tensor(few, dtype=torch.float32).repeat(len(channels) * height * width)
    pixels = pixels[: len(channels) * height * width].reshape(len(channels), height, width).clone()
    pixels[:, 0, 0] = 0.25  # one pixel at least is a number
    corner = st.integers(-3000, 3000)
    return Plate(
        pixels=pixels,
        channels=channels,
        space=draw(st.sampled_from([None, "lin_ap1_scene", "Linear ARRI Wide Gamut 4"])),
        data=Window(draw(corner), draw(corner), width, height),
        display=Window(draw(corner), draw(corner), draw(st.integers(1, 4096)), draw(st.integers(1, 4096))),
        pixel_aspect=draw(st.sampled_from([1.0, 2.0, 0.5, 1.5])),
        metadata=draw(attributes),
        view=draw(st.sampled_from([None, "left"])),
    )


def bits(x):
    return x.contiguous().view(torch.int32)


def simple(height=4, width=5, channels="RGBA", **more):
    pixels = torch.rand(len(channels), height, width, generator=torch.Generator().manual_seed(1))
    window = Window(0, 0, width, height)
    return Plate(pixels, tuple(channels), more.pop("space", None), window, window, **more)


@given(plates(), st.sampled_from(["none", "rle", "zip", "zips", "piz"]))
def test_float_exr_comes_back_bit_for_bit_with_all_that_was_said(tmp_path_factory, plate, compression):
    path = tmp_path_factory.mktemp("float") / "plate.exr"
    write_image(path, plate, compression=compression)
    back = read_image(path)
    assert sorted(back.channels) == sorted(plate.channels)
    for name in plate.channels:
        ours, theirs = plate.channel(name), back.channel(name)
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert torch.equal(
            bits(ours.nan_to_num(0.0, math.inf, -math.inf)), bits(theirs.nan_to_num(0.0, math.inf, -math.inf))
        )
    assert (back.data, back.display, back.pixel_aspect) == (plate.data, plate.display, plate.pixel_aspect)
    assert (back.space, back.view, back.compression) == (plate.space, plate.view, compression)
    assert {key: back.metadata[key] for key in plate.metadata} == plate.metadata


@given(plates(st.floats(-65504, 65504, width=32)), st.data())
def test_half_is_within_one_ulp_and_the_other_channels_are_exact(tmp_path_factory, plate, data):
    half = data.draw(st.sets(st.sampled_from(plate.channels)))
    path = tmp_path_factory.mktemp("half") / "plate.exr"
    write_image(path, plate, half=half)
    back = read_image(path)
    for name in plate.channels:
        error = (plate.channel(name) - back.channel(name)).abs().numpy()
        ulp = np.spacing(plate.channel(name).abs().clamp_max(65472).numpy().astype(np.float16)).astype(np.float32)
        assert (error <= (ulp if name in half else 0)).all()
    part = read_header(path).main
    assert {name for name, kind in zip(part.channels, part.formats, strict=True) if kind == "half"} == half


def test_unusual_attributes_keep_their_type(tmp_path):
    spec = oiio.ImageSpec(2, 2, 3, oiio.FLOAT)
    given = {
        "smpte:TimeCode": ("timecode", (0x01020304, 5)),
        "worldToNDC": ("matrix", tuple(float(i) for i in range(16))),
        "framesPerSecond": ("rational", (24000, 1001)),
        "chromaticities": ("float[8]", (0.5, 0.25, 0.25, 0.5, 0.125, 0.0625, 0.3125, 0.34375)),
        "multiView": ("string[2]", ("right", "left")),
        "v": ("vector", (1.0, 2.0, 3.0)),
    }
    for name, (kind, value) in given.items():
        spec.attribute(name, oiio.TypeDesc(kind), value)
    out = oiio.ImageOutput.create(str(tmp_path / "a.exr"))
    assert out.open(str(tmp_path / "a.exr"), spec)
    assert out.write_image(np.zeros((2, 2, 3), np.float32))
    out.close()
    write_image(tmp_path / "b.exr", read_image(tmp_path / "a.exr"))
    first, second = read_image(tmp_path / "a.exr"), read_image(tmp_path / "b.exr")
    assert first.metadata | {} == {k: v for k, v in second.metadata.items() if k in first.metadata}
    for name, (kind, value) in given.items():
        assert (second.metadata[name], second.types[name]) == (value, kind)


def test_a_photographs_small_integers_reach_exr(tmp_path):
    write_image(tmp_path / "a.jpg", simple(channels="RGB"), metadata={"Orientation": 6, "Make": "Lumière"})
    write_image(tmp_path / "a.exr", read_image(tmp_path / "a.jpg"))
    back = read_image(tmp_path / "a.exr").metadata
    assert (back["Orientation"], back["Make"]) == (6, "Lumière")


def test_added_metadata_wins_and_a_large_seed_becomes_text(tmp_path):
    plate = simple(metadata={"shot": "old", "kept": 3})
    write_image(tmp_path / "a.exr", plate, metadata={"shot": "new", "sfumato:seed": 2**40, "sfumato:frame": 1001})
    back = read_image(tmp_path / "a.exr").metadata
    assert (back["shot"], back["kept"], back["sfumato:seed"], back["sfumato:frame"]) == ("new", 3, str(2**40), 1001)


def test_the_same_plate_is_the_same_file_at_any_time_of_day(tmp_path):
    for name in ("a.exr", "b.exr"):
        write_image(tmp_path / name, simple())
    assert file_hash(tmp_path / "a.exr") == file_hash(tmp_path / "b.exr")
    assert b"DateTime" not in (tmp_path / "a.exr").read_bytes()  # OpenImageIO's own would be now
    assert b"capDate" not in (tmp_path / "a.exr").read_bytes()


def test_a_permuted_tensor_and_one_channel_are_written_right(tmp_path):
    pixels = torch.rand(6, 7, 3).permute(2, 0, 1)
    write_image(tmp_path / "p.exr", simple(6, 7, "RGB").replace(pixels=pixels))
    assert torch.equal(read_image(tmp_path / "p.exr").rgb(), pixels)
    one = simple(6, 7, "A")  # OpenImageIO turns a 2-D array into garbage and says it went well
    write_image(tmp_path / "a.exr", one)
    assert torch.equal(read_image(tmp_path / "a.exr").pixels, one.pixels)


@pytest.mark.parametrize(("extension", "levels"), [("png", 255), ("tif", 65535)])
def test_integers_are_scaled_stay_coded_and_keep_colour_under_alpha_zero(tmp_path, extension, levels):
    plate = simple()
    pixels = (plate.pixels * levels).round() / levels
    pixels[3, :2] = 0
    write_image(tmp_path / f"a.{extension}", plate.replace(pixels=pixels), bits=8 if levels == 255 else 16)
    back = read_image(tmp_path / f"a.{extension}")
    assert back.coded
    assert torch.allclose(back.pixels, pixels, rtol=0, atol=1e-7)


def test_a_float_is_not_coded_and_goes_through_tiff(tmp_path):
    write_image(tmp_path / "a.tif", simple(channels="RGB"))
    back = read_image(tmp_path / "a.tif")
    assert not back.coded
    assert torch.equal(back.pixels, simple(channels="RGB").pixels)


def test_dwa_leaves_alpha_and_data_alone(tmp_path):
    plate = simple(64, 64, channels=("R", "G", "B", "A", "fg.R", "confidence.A", "Z"))
    write_image(tmp_path / "a.exr", plate, compression="dwaa:45")
    back = read_image(tmp_path / "a.exr")
    for name in ("A", "confidence.A", "Z"):
        assert torch.equal(back.channel(name), plate.channel(name))
    assert 0 < (back.channel("R") - plate.channel("R")).abs().max() < 0.05
    assert back.compression.startswith("dwaa")


def test_dwa_on_a_data_layer_only_when_asked(tmp_path):
    plate = simple(channels=("R", "motion.R"))
    with pytest.raises(RequestError, match=re.escape("dwaa would round motion.R")):
        write_image(tmp_path / "a.exr", plate, compression="dwaa")
    write_image(tmp_path / "a.exr", plate, compression="dwaa", lossy_layers=("", "motion"))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"pixels": torch.full((4, 4, 5), 70000.0)}, {"compression": "dwaa"}, "R is 70000 .* half ends at 65504"),
        ({"pixels": torch.full((4, 4, 5), math.nan)}, {"compression": "dwaa"}, "would turn 20 NaN"),
        ({}, {"compression": "bogus"}, "no compression bogus"),
        ({}, {"half": {"Q"}}, "no channel Q"),
        ({"pixels": torch.full((4, 4, 5), 70000.0)}, {"half": True}, "A is 70000 at x 0, y 0, and half ends at 65504"),
    ],
)
def test_a_request_that_would_damage_is_refused_before_anything_is_written(tmp_path, change, options, message):
    with pytest.raises(RequestError, match=message):
        write_image(tmp_path / "a.exr", simple().replace(**change), **options)
    assert not list(tmp_path.iterdir())


def test_the_largest_half_is_still_written_and_infinity_stays_infinity(tmp_path):
    pixels = torch.tensor([[[65504.0, -65504.0, math.inf, math.nan, 65519.0]]])
    write_image(tmp_path / "a.exr", simple(1, 5, "A").replace(pixels=pixels), half=True)
    assert read_image(tmp_path / "a.exr").pixels.nan_to_num(7, math.inf).tolist() == [
        [[65504.0, -65504.0, math.inf, 7.0, 65504.0]]
    ]


def test_another_format_is_refused_with_the_one_to_use(tmp_path):
    with pytest.raises(RequestError, match="no way to write") as refused:
        write_image(tmp_path / "a.mov", simple())
    assert refused.value.hint == "write .exr"


def test_a_missing_file_a_folder_and_an_empty_file_each_have_their_sentence(tmp_path):
    (tmp_path / "empty.exr").touch()
    (tmp_path / "text.exr").write_text("not a picture")
    for name, says in (
        ("no.exr", "does not exist"),
        ("", "is a folder"),
        ("empty.exr", "0 bytes"),
        ("text.exr", "cannot be read"),
    ):
        with pytest.raises(InputError, match=says) as refused:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in refused.value.message
        assert refused.value.hint


def test_a_file_that_this_user_may_not_read_is_not_called_damaged(powerless):
    plate = powerless.folder / "plate.exr"
    write_image(plate, simple())
    with powerless():
        assert read_header(plate).main.channels
    for closed in (plate, plate.parent):
        closed.chmod(0)
        for read in (read_header, file_hash):
            with powerless(), pytest.raises(InputError, match=f"{plate} is not readable by this user") as refused:
                read(plate)
            assert "copy it again" not in refused.value.hint
        closed.chmod(0o755)


def test_a_file_cut_anywhere_is_refused_with_its_path(tmp_path):
    write_image(tmp_path / "whole.exr", simple(64, 64))
    whole = (tmp_path / "whole.exr").read_bytes()
    for share in (0.01, 0.1, 0.5, 0.9, 0.999):
        cut = tmp_path / "cut.exr"
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match=re.escape(str(cut))) as refused:
            read_image(cut)
        assert "copy it again" in refused.value.hint


def test_a_plate_without_a_finite_pixel_is_refused_and_one_with_holes_is_not(tmp_path):
    write_image(tmp_path / "nan.exr", simple().replace(pixels=torch.full((4, 4, 5), math.nan)))
    with pytest.raises(InputError, match="no finite pixel"):
        read_image(tmp_path / "nan.exr")
    some = simple()
    some.pixels[1, 2, 3] = math.nan
    some.pixels[0, 0, 0] = math.inf
    write_image(tmp_path / "some.exr", some)
    back = read_image(tmp_path / "some.exr")
    assert back.holes().sum() == 2
    assert torch.equal(bits(back.pixels), bits(some.pixels))


def test_a_hash_is_of_the_content_alone(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 3_000_000)
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b")
    (tmp_path / "b").write_bytes(b"x" * 2_999_999 + b"y")
    assert file_hash(tmp_path / "a") != file_hash(tmp_path / "b")
    with pytest.raises(InputError, match="does not exist"):
        file_hash(tmp_path / "c")


def test_headers_and_colour_names_need_no_torch(tmp_path):
    write_image(tmp_path / "a.exr", simple(space="ACEScg"))
    code = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torch': raise ImportError('torch was imported')
sys.meta_path.insert(0, Block())
from sfumato.io import read_header, file_hash
from sfumato.color import choose_config, space_of
header = read_header({str(tmp_path / "a.exr")!r})
config = choose_config(None, None)
print(header.main.data, config.has('ACEScct'), config.linear_like('ARRI LogC4'), space_of(header.main, config)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "5 x 4 at 0, 0 True Linear ARRI Wide Gamut 4 ACEScg", done.stderr
