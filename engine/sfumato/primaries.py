"""Linear colour spaces by their primaries: what a file may say instead of a config's name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Primaries:
    """A set of RGB primaries.

    names: Names of its linear space in common OCIO configs, best first. The first is the Color Interop Forum's id
        (what OpenEXR 3.4 and OpenImageIO 3 store in `colorInteropID`) where it has one (`..._scene`).
    xy: CIE x, y of red, green, blue, white.
    """

    names: tuple[str, ...]
    xy: tuple[float, ...]


_D65 = (0.3127, 0.3290)
_ACES = (0.32168, 0.33767)
REC709 = Primaries(
    ("lin_rec709_scene", "Linear Rec.709 (sRGB)", "lin_rec709", "Utility - Linear - Rec.709", "lin_srgb"),
    (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65),
)
AP0 = Primaries(
    ("lin_ap0_scene", "ACES2065-1", "ACES - ACES2065-1", "lin_ap0", "aces"),
    (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, *_ACES),
)
KNOWN = (
    REC709,
    AP0,
    Primaries(
        ("lin_ap1_scene", "ACEScg", "ACES - ACEScg", "lin_ap1"),
        (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, *_ACES),
    ),
    Primaries(
        ("lin_p3d65_scene", "Linear P3-D65", "lin_p3d65", "Utility - Linear - P3-D65"),
        (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    ),
    Primaries(
        ("lin_rec2020_scene", "Linear Rec.2020", "lin_rec2020", "Utility - Linear - Rec.2020"),
        (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    ),
    Primaries(
        ("lin_adobergb_scene", "Linear AdobeRGB", "lin_adobergb", "Utility - Linear - Adobe RGB"),
        (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65),
    ),
    Primaries(
        ("Linear ARRI Wide Gamut 3", "lin_arri_wide_gamut_3", "Input - ARRI - Linear - ALEXA Wide Gamut"),
        (0.6840, 0.3130, 0.2210, 0.8480, 0.0861, -0.1020, *_D65),
    ),
    Primaries(
        ("Linear ARRI Wide Gamut 4", "lin_arri_wide_gamut_4", "lin_awg4"),
        (0.7347, 0.2653, 0.1424, 0.8576, 0.0991, -0.0308, *_D65),
    ),
    Primaries(
        ("Linear REDWideGamutRGB", "lin_redwidegamutrgb", "Input - RED - Linear - REDWideGamutRGB"),
        (0.780308, 0.304253, 0.121595, 1.493994, 0.095612, -0.084589, *_D65),
    ),
    Primaries(
        ("Linear S-Gamut3", "lin_sgamut3", "Input - Sony - Linear - S-Gamut3"),
        (0.730, 0.280, 0.140, 0.855, 0.100, -0.050, *_D65),
    ),
    Primaries(
        ("Linear S-Gamut3.Cine", "lin_sgamut3cine", "Input - Sony - Linear - S-Gamut3.Cine"),
        (0.766, 0.275, 0.225, 0.800, 0.089, -0.087, *_D65),
    ),
    Primaries(
        ("Linear V-Gamut", "lin_vgamut", "Input - Panasonic - Linear - V-Gamut"),
        (0.730, 0.280, 0.165, 0.840, 0.100, -0.030, *_D65),
    ),
    Primaries(
        ("Linear DaVinci WideGamut", "lin_davinci_widegamut"),
        (0.8000, 0.3130, 0.1682, 0.9877, 0.0790, -0.1155, *_D65),
    ),
)

SRGB = (  # the one display-coded space files name
    "srgb_rec709_scene",
    "sRGB Encoded Rec.709 (sRGB)",
    "sRGB - Texture",
    "Utility - sRGB - Texture",
    "srgb_texture",
)


def recognise(chromaticities: object) -> Primaries | None:
    """The known primaries within 0.001 of eight numbers (red, green, blue, white as x, y), or None."""
    if not isinstance(chromaticities, Sequence) or len(chromaticities) != 8:
        return None
    apart = [(max(abs(a - b) for a, b in zip(known.xy, chromaticities, strict=True)), known) for known in KNOWN]
    nearest, found = min(apart, key=lambda pair: pair[0])
    return found if nearest < 1e-3 else None


def named(space: str) -> Primaries | None:
    """The known primaries whose linear space goes by this name (case does not matter), or None."""
    return next((known for known in KNOWN if space.lower() in {name.lower() for name in known.names}), None)


def interop_id(space: str) -> str:
    """What to store in a file for a colour space: the interoperable id where there is one, else the name itself.

    >>> interop_id("ACEScg"), interop_id("Linear ARRI Wide Gamut 4")
    ('lin_ap1_scene', 'Linear ARRI Wide Gamut 4')
    """
    known = named(space)
    if space in SRGB:
        return SRGB[0]
    return known.names[0] if known and known.names[0].endswith("_scene") else space


def luminance_weights(chromaticities: object) -> tuple[float, float, float]:
    """How much red, green and blue add to luminance Y, for eight chromaticities (Rec.709 where there are none).

    SMPTE RP 177-1993: the columns of RGB -> XYZ are the primaries' XYZ, scaled so that (1, 1, 1) is white.
    """
    xy = chromaticities if isinstance(chromaticities, Sequence) and len(chromaticities) == 8 else REC709.xy
    red, green, blue, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(xy[::2], xy[1::2], strict=True))
    weights = np.linalg.solve(np.stack([red, green, blue], axis=1), white)
    return float(weights[0]), float(weights[1]), float(weights[2])
