"""A street at dusk, far out of focus: soft gradients and discs of light many times brighter than white."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

SKY, HAZE, GROUND = (0.012, 0.030, 0.062), (0.150, 0.078, 0.090), (0.010, 0.012, 0.018)
LAMPS = ((1.00, 0.40, 0.07), (1.00, 0.62, 0.25), (0.12, 0.62, 0.95), (1.00, 0.09, 0.05), (0.85, 0.90, 1.00))
LAMP_ODDS = (0.40, 0.22, 0.20, 0.10, 0.08)


def paint(size: tuple[int, int], offset: float, rng: np.random.Generator, lamps: int = 90) -> Image:
    """One frame, (H, W, 3) linear; `offset` in frame heights is how far the camera has panned."""
    width, height = size
    y = ((np.arange(height) + 0.5) / height - 0.5)[:, None]
    x = ((np.arange(width) + 0.5 - width / 2) / height)[None, :] + offset
    picture = _gradient(x, y)
    for _ in range(7):  # facades: large blurs, a little darker or lighter than the haze
        cx, w, top = rng.uniform(-1.4, 1.4), rng.uniform(0.08, 0.26), rng.uniform(-0.45, 0.0)
        tint = np.array([0.9, 0.75, 0.8]) * rng.uniform(-0.05, 0.045)
        shape = (
            _soft((x - cx + w) / 0.10) * _soft((cx + w - x) / 0.10) * _soft((y - top) / 0.12) * _soft((0.28 - y) / 0.10)
        )
        picture = picture + shape[..., None] * tint
    for _ in range(lamps):
        _lamp(picture, x, y, rng)
    return np.maximum(picture, 0.004).astype(np.float32)


def _gradient(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    haze = np.exp(-(((y - 0.10) / 0.24) ** 2)) * (0.75 + 0.25 * np.sin(1.7 * x + 0.6))
    ground = _soft((y - 0.22) / 0.16) + 0 * x
    base = np.array(SKY) + haze[..., None] * np.array(HAZE)
    return np.asarray(base * (1 - ground[..., None]) + ground[..., None] * (np.array(GROUND) + 0.25 * base))


def _soft(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-4 * np.clip(t, -10, 10))))


def _lamp(
    picture: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> None:
    """A disc of confusion: flat, a bright edge, a little soft; its light is the same however large it is."""
    cx, cy = rng.uniform(-1.35, 1.35), rng.normal(-0.02, 0.16)
    radius = rng.uniform(0.018, 0.075)
    colour = np.array(LAMPS[rng.choice(len(LAMPS), p=LAMP_ODDS)]) * np.exp(rng.normal(0.0, 1.1))
    strength = 0.0026 / radius**2
    height = picture.shape[0]
    rows = np.flatnonzero(np.abs(y[:, 0] - cy) < 1.15 * radius)
    columns = np.flatnonzero(np.abs(x[0] - cx) < 1.15 * radius)
    if not len(rows) or not len(columns):
        return
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    r = np.hypot(x[:, box[1]] - cx, y[box[0]] - cy) / radius
    soft = max(0.05, 1.2 / (height * radius))
    disc = np.clip((1 - r) / soft + 0.5, 0, 1) * (0.78 + 0.35 * np.clip(r, 0, 1) ** 6)
    picture[box] += (strength * disc)[..., None] * colour
