"""Colour spaces: the show's config first, curves undone, primaries kept, nothing guessed in silence."""

import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.color import BUILTIN_CONFIG, choose_config, display, space_of, to_linear
from sfumato.errors import RequestError
from sfumato.io import read_image, write_image
from sfumato.plate import Plate, Window
from sfumato.primaries import AP0, KNOWN, REC709, luminance_weights, recognise

CONFIG = choose_config(None, None)
LOGS = [s for s in CONFIG.spaces if CONFIG.linear_like(s) and not CONFIG.is_linear(s) and not CONFIG.is_data(s)]
SHOW = """ocio_profile_version: 2
environment: {}
search_path: luts
roles: {default: raw, scene_linear: show_lin, data: raw}
displays:
  sRGB:
    - !<View> {name: Show, colorspace: show_log}
colorspaces:
  - !<ColorSpace> {name: show_lin}
  - !<ColorSpace>
    name: other_lin
    to_reference: !<MatrixTransform> {matrix: [0.7, 0.2, 0.1, 0, 0.1, 0.8, 0.1, 0, 0, 0.1, 0.9, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: show_log
    to_reference: !<LogTransform> {base: 10, direction: inverse}
  - !<ColorSpace>
    name: other_log
    to_reference: !<GroupTransform>
      children:
        - !<LogTransform> {base: 10, direction: inverse}
        - !<MatrixTransform> {matrix: [0.7, 0.2, 0.1, 0, 0.1, 0.8, 0.1, 0, 0, 0.1, 0.9, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: shot
    to_reference: !<FileTransform> {src: "${SHOT}.spimtx"}
  - !<ColorSpace> {name: raw, isdata: true}
"""


def plate(pixels, channels="RGB", **more):
    window = Window(0, 0, pixels.shape[2], pixels.shape[1])
    return Plate(pixels, tuple(channels), more.pop("space", None), window, window, **more)


def grey(value, channels="RGB", **more):
    return plate(torch.full((len(channels), 2, 2), value), channels, **more)


@pytest.fixture
def show(tmp_path):
    """A facility's config without encodings or aliases, with a matrix for each shot."""
    (tmp_path / "luts").mkdir()
    for shot, gain in (("ab_010", 2), ("ab_020", 3)):
        (tmp_path / "luts" / f"{shot}.spimtx").write_text(f"{gain} 0 0 0 0 {gain} 0 0 0 0 {gain} 0")
    (tmp_path / "config.ocio").write_text(SHOW)
    return str(tmp_path / "config.ocio")


def test_the_named_config_comes_first_then_the_environments_then_ours(show):
    assert choose_config(show, "ocio://default").name == show
    assert choose_config(None, show).name == show
    assert choose_config("", "").name == BUILTIN_CONFIG
    assert "from $OCIO" in choose_config(None, show).source
    assert "$OCIO is not set" in choose_config(None, None).source


def test_a_default_that_floats_is_pinned_to_the_version_it_means():
    assert choose_config("ocio://default", None).name.startswith("cg-config-v")
    assert choose_config(BUILTIN_CONFIG, None).hash == CONFIG.hash


@pytest.mark.parametrize(("named", "env"), [("/no/config.ocio", None), (None, "/no/config.ocio"), ("ocio://no", None)])
def test_a_config_that_is_not_there_is_never_skipped(named, env):
    with pytest.raises(RequestError, match="cannot be read") as refused:
        choose_config(named, env)
    assert BUILTIN_CONFIG in refused.value.hint


def test_a_broken_config_is_refused_by_its_path(tmp_path):
    (tmp_path / "config.ocio").write_text("ocio_profile_version: 99")
    with pytest.raises(RequestError, match=r"config\.ocio.*cannot be used"):
        choose_config(str(tmp_path / "config.ocio"), None)


def test_a_hash_follows_the_text_of_the_config(show):
    first = choose_config(show, None).hash
    with open(show, "a") as file:
        file.write("\n# changed\n")
    assert choose_config(show, None).hash != first


def test_context_variables_travel_with_the_job(show):
    first, second = (choose_config(show, None, {"SHOT": shot}) for shot in ("ab_010", "ab_020"))
    assert first.context["SHOT"] == "ab_010"
    assert set(first.context) == {"SHOT"}, "no other variable of the environment leaves the machine"
    pixels = torch.full((3, 1, 1), 0.5)
    assert first.transform(pixels, "shot", "show_lin")[0].item() == 1.0
    assert second.transform(pixels, "shot", "show_lin")[0].item() == 1.5


def test_the_primaries_of_a_config_without_encodings_are_found_by_measuring(show):
    config = choose_config(show, None, {"SHOT": "ab_010"})
    assert config.linear_like("show_log") in ("show_lin", "shot")
    assert config.linear_like("other_log") == "other_lin"
    assert config.linear_like("raw") == "raw"
    linear, _ = to_linear(grey(-1.0), config, "other_log")
    assert linear.space == "other_lin"
    assert linear.pixels.flatten().tolist() == pytest.approx([0.1] * 12, rel=1e-5)


@pytest.mark.parametrize(
    ("space", "coded", "linear_space"),
    [  # the code value of 18 % grey, as each maker publishes it
        ("ARRI LogC3 (EI800)", 0.391007, "Linear ARRI Wide Gamut 3"),
        ("ARRI LogC4", 0.278396, "Linear ARRI Wide Gamut 4"),
        ("S-Log3 S-Gamut3.Cine", 420 / 1023, "Linear S-Gamut3.Cine"),
        ("Log3G10 REDWideGamutRGB", 1 / 3, "Linear REDWideGamutRGB"),
        ("V-Log V-Gamut", 0.423311, "Linear V-Gamut"),
        ("ACEScct", 0.4135884, "ACEScg"),
        ("sRGB Encoded Rec.709 (sRGB)", 0.4613561, "Linear Rec.709 (sRGB)"),
    ],
)
def test_the_makers_middle_grey_becomes_18_percent(space, coded, linear_space):
    linear, note = to_linear(grey(coded, "RGBA", metadata={"a": 1}), CONFIG, space)
    assert linear.space == linear_space
    assert linear.rgb().flatten().tolist() == pytest.approx([0.18] * 12, rel=2e-3)
    assert torch.equal(linear.channel("A"), torch.full((1, 2, 2), coded)), "alpha is no colour"
    assert linear.metadata == {"a": 1}
    assert linear_space in note
    assert space in note


@pytest.mark.parametrize("space", LOGS)
@given(values=st.lists(st.floats(0.25, 0.75, width=32), min_size=3, max_size=3), seed=st.integers(0, 9))
def test_a_curve_is_undone_channel_by_channel_and_can_be_done_again(space, values, seed):
    target = CONFIG.linear_like(space)
    random = torch.Generator().manual_seed(seed)
    pixels = torch.tensor(values)[:, None, None] + 0.01 * torch.rand(3, 2, 2, generator=random)
    linear = CONFIG.undo_curve(pixels, space, target)
    moved = pixels.clone()
    moved[1] += 0.1
    changed = CONFIG.undo_curve(moved, space, target)
    assert torch.equal(changed[[0, 2]], linear[[0, 2]]), "moving green moved red or blue"
    if space != "ACEScc":  # OCIO's way back clips what is negative in AP0
        assert torch.allclose(CONFIG.transform(linear, target, space), pixels, rtol=0, atol=2e-4)


def test_a_saturated_log_colour_is_not_clipped_on_its_way_to_linear():
    pixels = torch.tensor([0.25, 0.85, 0.25])[:, None, None]  # negative in AP0, which OCIO's ACEScc goes through
    linear, _ = to_linear(plate(pixels), CONFIG, "ACEScc")
    expected = 2.0 ** (pixels * 17.52 - 9.72)  # S-2014-003, section 4.4.1
    assert torch.allclose(linear.pixels, expected, rtol=2e-5, atol=0)


def test_every_camera_log_of_the_pinned_config_has_its_linear_space():
    assert {"ACEScc", "ACEScct", "Apple Log", "BMDFilm WideGamut Gen5", "CanonLog3 CinemaGamut D55"} <= set(LOGS)
    without = {s for s in CONFIG.spaces if CONFIG.linear_like(s) is None and not CONFIG.is_display(s)}
    assert without == {"ADX10", "ADX16"}


def test_a_space_without_a_linear_one_is_refused_rather_than_given_other_primaries():
    with pytest.raises(RequestError, match="no linear space with the primaries of ADX10"):
        to_linear(grey(0.5), CONFIG, "ADX10")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("logc3", "ARRI LogC3 (EI800)"),
        ("LogC4", "ARRI LogC4"),
        ("slog3", "S-Log3 S-Gamut3"),
        ("ACES cct", "ACEScct"),
        ("sRGB", "sRGB Encoded Rec.709 (sRGB)"),
        ("Log3G10", "Log3G10 REDWideGamutRGB"),
    ],
)
def test_an_unknown_space_is_refused_with_the_nearest(wrong, right):
    with pytest.raises(RequestError, match=f"colour space {wrong} is not in") as refused:
        to_linear(grey(0.5), CONFIG, wrong)
    assert refused.value.hint.startswith(f"did you mean {right}")


def test_an_alias_and_a_role_are_called_by_the_configs_own_name():
    assert CONFIG.canonical("lin_ap1_scene") == "ACEScg"
    assert CONFIG.canonical("scene_linear") == "ACEScg"
    assert to_linear(grey(0.5), CONFIG, "lin_ap1")[0].space == "ACEScg"


@pytest.mark.parametrize("space", ["ACEScg", "ACES2065-1", "Linear P3-D65", "lin_rec2020_scene", "Raw"])
def test_linear_and_data_keep_every_bit(space):
    pixels = torch.tensor([-0.5, 0.0, 65504.0, 1e30, math.inf, math.nan]).expand(3, 1, 6)
    linear, _ = to_linear(plate(pixels), CONFIG, space)
    assert torch.equal(linear.pixels.view(torch.int32), pixels.contiguous().view(torch.int32))


def test_holes_keep_their_bits_and_harm_no_neighbour():
    pixels = torch.full((3, 1, 4), 0.4)
    pixels[0, 0, 1], pixels[2, 0, 2] = math.nan, math.inf
    linear, _ = to_linear(plate(pixels), CONFIG, "ARRI LogC4")
    assert linear.pixels[:, 0, 1:3].nan_to_num(9, 8).tolist() == pixels[:, 0, 1:3].nan_to_num(9, 8).tolist()
    assert linear.pixels[0, 0, 0] == linear.pixels[0, 0, 3]
    assert linear.holes().sum() == 2


def test_layers_and_data_beside_the_colour_are_not_converted():
    source = plate(torch.full((5, 2, 2), 0.4), ("Z", "R", "G", "B", "fg.R"))
    linear, _ = to_linear(source, CONFIG, "ACEScct")
    assert torch.equal(linear.channel("Z"), source.channel("Z"))
    assert torch.equal(linear.channel("fg.R"), source.channel("fg.R"))
    assert not torch.equal(linear.channel("R"), source.channel("R"))


def test_integers_stay_coded_unless_declared_to_be_log_or_linear():
    still, note = to_linear(grey(0.5, coded=True, space="srgb_rec709_scene"), CONFIG, None)
    assert still.coded
    assert still.space == "sRGB Encoded Rec.709 (sRGB)"
    assert (still.pixels == 0.5).all()
    assert "own values" in note
    assert to_linear(grey(0.5, coded=True), CONFIG, None)[0].space == still.space
    assert to_linear(grey(0.5, coded=True), CONFIG, "Gamma 2.2 Encoded Rec.709")[0].coded
    scan, _ = to_linear(grey(0.391007, coded=True), CONFIG, "ARRI LogC3 (EI800)")
    assert not scan.coded
    assert scan.pixels.mean().item() == pytest.approx(0.18, rel=1e-2)


@pytest.mark.parametrize(
    ("said", "space", "how"),
    [
        ({"space": "lin_ap1_scene"}, "ACEScg", "named by the file"),
        ({"space": "ocio:acescct_ap1_scene"}, "ACEScct", "named by the file"),
        ({"space": "sRGB"}, "sRGB Encoded Rec.709 (sRGB)", "named by the file"),
        ({"space": "Linear"}, "Linear Rec.709 (sRGB)", "taken as scene-linear Rec.709"),
        ({}, "Linear Rec.709 (sRGB)", "taken as scene-linear Rec.709"),
        ({"metadata": {"acesImageContainerFlag": 1}}, "ACES2065-1", "chromaticities"),
        ({"metadata": {"chromaticities": AP0.xy}}, "ACES2065-1", "chromaticities"),
        ({"metadata": {"chromaticities": (0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.3, 0.3)}}, None, "no name"),
        ({"space": "ACEScg", "metadata": {"chromaticities": AP0.xy}}, "ACEScg", "named by the file"),
    ],
)
def test_a_file_is_believed_about_its_space(said, space, how):
    found, why = space_of(grey(0.5, **said), CONFIG)
    assert found == space
    assert how in why
    assert to_linear(grey(0.5, **said), CONFIG, None)[0].space == (space and CONFIG.linear_like(space))


def test_what_the_artist_declares_wins_over_the_file():
    assert to_linear(grey(0.4, space="ACEScg"), CONFIG, "ARRI LogC4")[0].space == "Linear ARRI Wide Gamut 4"


def test_a_space_only_the_file_knows_is_refused_with_the_way_out():
    with pytest.raises(RequestError, match="the file says its colour space is logc4_show") as refused:
        to_linear(grey(0.5, space="logc4_show"), CONFIG, None)
    assert "--colorspace" in refused.value.hint


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.names[0])
def test_known_primaries_agree_with_the_pinned_config(known):
    """The luminance of each primary by our chromaticities and by OpenColorIO's matrix are the same (same white)."""
    space = CONFIG.first(known.names)
    assert recognise(known.xy) is known
    assert recognise([v + 5e-4 for v in known.xy]) is known
    unit = torch.eye(3).reshape(3, 1, 3)
    xyz = CONFIG.transform(unit, space, "CIE XYZ-D65 - Display-referred")
    tolerance = 4e-3 if known.xy[6:] == REC709.xy[6:] else 0.03  # by the makers' and ACES adaptations
    assert xyz[1].flatten().tolist() == pytest.approx(luminance_weights(known.xy), abs=tolerance)


@pytest.mark.parametrize("space", sorted({CONFIG.linear_like(s) for s in LOGS} | {"sRGB Encoded Rec.709 (sRGB)"}))
def test_a_result_is_read_back_in_the_space_it_was_written_in(tmp_path, space):
    write_image(tmp_path / "a.exr", grey(0.5, space=space))
    assert space_of(read_image(tmp_path / "a.exr"), CONFIG) == (space, "named by the file")


def test_what_is_written_does_not_depend_on_the_environments_ocio(tmp_path, show):
    code = f"""
import torch
from sfumato.io import write_image
from sfumato.plate import Plate, Window
w = Window(0, 0, 2, 2)
write_image({str(tmp_path / "b.exr")!r}, Plate(torch.full((3, 2, 2), 0.5), tuple("RGB"), "ACEScg", w, w))
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "OCIO": show}, check=True)
    write_image(tmp_path / "a.exr", grey(0.5, space="ACEScg"))
    assert (tmp_path / "a.exr").read_bytes() == (tmp_path / "b.exr").read_bytes()
    assert read_image(tmp_path / "b.exr").space == "lin_ap1_scene"


@pytest.mark.parametrize(
    "space", ["ACEScg", "Linear Rec.709 (sRGB)", "ARRI LogC4", "Raw", "sRGB - Texture", None, "nobody's"]
)
def test_a_picture_to_look_at_is_finite_and_in_range_whatever_went_in(space):
    pixels = torch.tensor([-1.0, 0.0, 0.18, 1.0, 50.0, 65504.0, math.nan, math.inf]).expand(3, 1, 8)
    shown = display(pixels, CONFIG, space)
    assert shown.shape == pixels.shape
    assert shown.isfinite().all()
    assert 0 <= shown.min() <= shown.max() <= 1


def test_display_coded_stills_are_shown_as_they_are_and_light_through_the_view():
    pixels = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(display(pixels, CONFIG, "sRGB Encoded Rec.709 (sRGB)"), pixels)
    seen = display(torch.full((3, 1, 1), 0.18), CONFIG, "ACEScg").mean().item()
    assert 0.3 < seen < 0.5
    plain = display(torch.full((3, 1, 1), 0.18), CONFIG, "ACEScg", view="Un-tone-mapped").mean().item()
    assert plain == pytest.approx(0.4613561, abs=1e-3)


def test_an_unknown_view_is_refused_with_those_there_are():
    with pytest.raises(RequestError, match="no view Nobody") as refused:
        display(torch.zeros(3, 1, 1), CONFIG, "ACEScg", view="Nobody")
    assert "Un-tone-mapped" in refused.value.hint
