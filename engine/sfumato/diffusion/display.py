"""A plate's light as what a diffusion model was trained to see, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfumato.plate import Plate
from sfumato.primaries import REC709, named

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Display:
    """How one plate is shown. Pictures of models end at white: light above it is not seen, and not lost either, since
    an edit is laid over the plate as a difference.

    matrix: From the plate's linear R, G, B to Rec.709's, which models were trained on, row by row; None if they are.
    exposure: Stops by which the plate is shown brighter.
    coded: The plate's values are display-coded already: shown as they are.
    """

    matrix: tuple[float, ...] | None = None
    exposure: float = 0.0
    coded: bool = False

    def light(self, plate: Tensor) -> Tensor:
        """Plate values (3, H, W), finite, any range -> light a model can be shown, 0..1, linear in Rec.709."""
        return self._turned(plate, False).clamp(0, 1)

    def encode(self, light: Tensor) -> Tensor:
        """Light 0..1 -> display-referred 0..1, any shape: the curve of IEC 61966-2-1 (sRGB)."""
        if self.coded:
            return light
        return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-9) ** (1 / 2.4) - 0.055)

    def decode(self, picture: Tensor) -> Tensor:
        """Display-referred, any shape -> light 0..1: undoes `encode`. What a codec answers outside 0..1 is clipped."""
        code = picture.clamp(0, 1)
        if self.coded:
            return code
        return torch.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)

    def back(self, light: Tensor) -> Tensor:
        """Light (3, H, W), or a difference of light, in the plate's own primaries and exposure: undoes `light`."""
        return self._turned(light, True)

    def words(self) -> str:
        """For records: what must be the same for an inversion to fit."""
        kind = "coded" if self.coded else "light"
        return (
            f"{kind}, {self.exposure:g} stops, through {' '.join(f'{v:.6g}' for v in self.matrix or ()) or 'nothing'}"
        )

    def _turned(self, values: Tensor, back: bool) -> Tensor:
        if self.coded:
            return values
        gain = float(2.0 ** (-self.exposure if back else self.exposure))
        if self.matrix is None:
            return values if gain == 1 else values * gain
        matrix = torch.tensor(self.matrix, dtype=torch.float64).reshape(3, 3)
        matrix = gain * (matrix.inverse() if back else matrix)
        turned: Tensor = torch.einsum("ij,jhw->ihw", matrix.to(values), values)
        return turned


def display_of(plate: Plate, exposure: float = 0.0) -> Display:
    """How a plate is shown: by its colour space's primaries, else by its chromaticities, else as Rec.709."""
    known, said = named(plate.space) if plate.space else None, plate.metadata.get("chromaticities")
    xy = known.xy if known else REC709.xy
    if known is None and isinstance(said, Sequence) and len(said) == 8:
        xy = tuple(float(v) for v in said)
    same = plate.coded or max(abs(a - b) for a, b in zip(xy, REC709.xy, strict=True)) < 1e-3
    return Display(None if same else tuple(_matrix(xy, REC709.xy).flatten().tolist()), exposure, plate.coded)


def _matrix(source: Numbers, target: Numbers) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """From linear RGB of some primaries to others', whites onto each other: SMPTE RP 177-1993; Bradford (ICC.1)."""
    whites = [_BRADFORD @ _xyz(xy[6], xy[7]) for xy in (source, target)]
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(whites[1] / whites[0]) @ _BRADFORD
    return np.linalg.solve(_to_xyz(target), adapted @ _to_xyz(source))


def _to_xyz(xy: Numbers) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    columns = np.stack([_xyz(xy[i], xy[i + 1]) for i in (0, 2, 4)], axis=1)
    return columns * np.linalg.solve(columns, _xyz(xy[6], xy[7]))


def _xyz(x: float, y: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([x / y, 1.0, (1 - x - y) / y])
