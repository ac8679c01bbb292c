"""Strands become pixels: lit, drawn front over back on a fine grid, averaged over the grid and the open shutter."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfumato.demo.creature import BEHIND, HEAD_PIVOT, PARTS, Array, Coat, Part, Pose, _rolled

Image = NDArray[np.float32]

KEY = np.array([-0.50, -0.55, 0.67]), np.array([1.00, 0.84, 0.66]) * 1.25  # soft and warm, from the upper left
RIMS = np.array([[0.35, 0.95, 1.35], [1.40, 0.60, 0.22]]) * np.array([[6.5], [3.6]])  # the street: cyan and sodium
REACH = 0.62  # half the creature's widest extent with hair and motion, in frame heights
AMBIENT = np.array([0.070, 0.080, 0.105])


@dataclass(frozen=True)
class Sheet:
    """A picture of the creature alone: premultiplied colour (H, W, 3) linear, and its exact coverage (H, W)."""

    colour: Image
    coverage: Image


def draw(coat: Coat, poses: list[Pose], size: tuple[int, int], fineness: int = 4) -> Sheet:
    """The mean over `poses` (moments of one exposure) of a picture with fineness x fineness samples a pixel."""
    width, height = size
    margin = max(0, width // 2 - round(REACH * height))  # columns the creature never reaches
    inner = width - 2 * margin
    total = np.zeros((height, inner, 4), dtype=np.float32)
    for pose in poses:
        ids, palette = _sample(coat, pose, inner * fineness, height * fineness)
        lit = palette[ids]  # id 0 is nothing: black and uncovered
        rows = lit.reshape(height, fineness, -1).sum(axis=1, dtype=np.float32)
        total += rows.reshape(height, inner, fineness, 4).sum(axis=2, dtype=np.float32)
    total = np.pad(total / np.float32(len(poses) * fineness**2), ((0, 0), (margin, margin), (0, 0)))
    return Sheet(np.ascontiguousarray(total[..., :3]), np.ascontiguousarray(total[..., 3]))


def _placed(points: Array, head: NDArray[np.bool_], pose: Pose) -> Array:
    turned = (points - HEAD_PIVOT) @ pose.head().T + HEAD_PIVOT
    moved = np.where(head[:, None], turned, points + 0.25 * (turned - points) * _ramp_down(points[:, 1])[:, None])
    return np.asarray(moved + np.array([*pose.offset, 0.0]) + np.array([0.0, pose.breath, 0.0]) * (~head)[:, None])


def _ramp_down(y: Array) -> Array:
    return np.asarray(np.clip((0.35 - y) / 0.4, 0, 1))


def _sample(coat: Coat, pose: Pose, width: int, height: int) -> tuple[NDArray[np.int32], Image]:
    """Which palette entry each fine sample shows, (height, width), and the palette (M, 4): RGB and coverage."""
    ids = np.zeros(height * width, dtype=np.int32)
    palette = [np.zeros((1, 3))]
    palette.append(_fill_bodies(ids, pose, width, height))
    shift = 1 + len(palette[1])
    root = _placed(coat.root, coat.head, pose)
    tip_rest = coat.root + coat.direction * coat.length[:, None]
    tip = _placed(tip_rest, coat.head, pose)
    sway = coat.length[:, None] / 0.09 * np.array([*pose.lag, 0.0]) * (0.6 + 0.8 * coat.seed[:, None])
    sag = np.array([0.0, 0.18, 0.0]) * coat.length[:, None]
    middle = (root + tip) / 2 - 0.5 * sag
    tip = tip + sway + sag
    shade = _lit(coat, pose, root, tip)
    steps = 7
    palette.append((shade[:, None, :] * _along(steps, coat.fine)[..., None]).reshape(-1, 3))
    face = [shape for shape in _face(pose, width, height)]
    cuts = [int(np.searchsorted(coat.root[:, 2], depth)) for depth, _, _ in face]
    begin = 0
    for cut, (_, cells, rgb) in zip([*cuts, len(root)], [*face, (0.0, None, None)], strict=True):
        part = slice(begin, max(cut, begin))
        _strands(
            ids, root[part], middle[part], tip[part], coat.fine[part], shift + part.start * steps, steps, width, height
        )
        if cells is not None and rgb is not None:
            palette.append(rgb)
            entry = sum(len(p) for p in palette) - len(rgb)
            ids[cells] = entry + np.arange(len(cells), dtype=np.int32)
        begin = max(cut, begin)
    colours = np.concatenate(palette).astype(np.float32)
    covered = np.ones((len(colours), 1), dtype=np.float32)
    covered[0] = 0
    return ids.reshape(height, width), np.concatenate([colours, covered], axis=1)


def _along(steps: int, fine: NDArray[np.bool_]) -> Array:
    """Brightness along a strand, (N, steps): dark where the coat hides it, bright at the tip."""
    t = np.linspace(0, 1, steps)
    return np.where(fine[:, None], 0.75 + 0.35 * t, 0.30 + 0.95 * t**1.3)


def _lit(coat: Coat, pose: Pose, root: Array, tip: Array) -> Array:
    """Light on each strand, (N, 3): Kajiya and Kay, "Rendering Fur with Three Dimensional Textures", 1989, softened by
    the surface it grows on; from behind, a strand glows where the surface turns away."""
    tangent = tip - root
    tangent = tangent / np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    turned = np.where(coat.head[:, None], coat.normal @ pose.head().T, coat.normal)
    light = np.tile(AMBIENT * 1.0, (len(root), 1)) * (0.65 - 0.35 * turned[:, 1:2])
    direction, colour = KEY
    facing = np.clip(0.25 + 0.75 * turned @ direction, 0, 1)
    along = tangent @ direction
    light = light + (facing * np.sqrt(np.clip(1 - along**2, 0, 1)))[:, None] * colour
    gloss = np.clip(np.sqrt(np.clip(1 - (tangent @ _half(direction)) ** 2, 0, 1)), 0, 1) ** 24 * facing
    edge = np.clip(1 - turned[:, 2], 0, 1.3) ** 2.2
    result = coat.albedo * light + 0.035 * gloss[:, None] * colour
    for direction, colour, open_ in zip(BEHIND, RIMS, coat.open.T, strict=True):
        behind = np.clip(turned @ direction + 0.15, 0, 1) * edge * open_
        result = result + behind[:, None] * colour * (0.22 + 0.78 * coat.albedo) * (0.35 + 1.0 * coat.seed[:, None])
    return np.asarray(result)


def _half(direction: Array) -> Array:
    half = direction + np.array([0.0, 0.0, 1.0])
    return np.asarray(half / np.linalg.norm(half))


def _strands(
    ids: NDArray[np.int32],
    root: Array,
    middle: Array,
    tip: Array,
    fine: NDArray[np.bool_],
    first: int,
    steps: int,
    width: int,
    height: int,
) -> None:
    """Write quadratic strands into the grid in order, later ones over earlier ones; thick ones taper to one cell."""
    if not len(root):
        return
    a, b, c = (p[:, :2].T * height + np.array([[width / 2], [height / 2]]) for p in (root, middle, tip))
    count = np.ceil(np.maximum(np.abs(c - a).max(axis=0), 2)).astype(np.int64) + 1
    owner = np.repeat(np.arange(len(root), dtype=np.int32), count)
    t = (np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)).astype(np.float32)
    t *= np.repeat((1 / (count - 1)).astype(np.float32), count)
    x, y = (_quadratic(a[k], b[k], c[k], owner, t) for k in (0, 1))
    entry = owner * np.int32(steps) + np.minimum((t * steps).astype(np.int32), steps - 1) + np.int32(first)
    flat = np.abs(c - a)[0] > np.abs(c - a)[1]
    sideways = np.where(flat, width, 1).astype(np.int32)[owner]  # a strand is thick across its own direction
    cell = y * np.int32(width) + x
    inside = (x >= 0) & (x < width - 2) & (y >= 0) & (y < height - 2)
    thickness = np.where(fine, -1.0, 1.0).astype(np.float32)[owner]
    for offset, until in ((2, 0.35), (1, 0.75)):
        chosen = inside & (t < until * thickness)
        ids[cell[chosen] + offset * sideways[chosen]] = entry[chosen]
    ids[cell[inside]] = entry[inside]


def _quadratic(a: Array, b: Array, c: Array, owner: NDArray[np.int32], t: Image) -> NDArray[np.int32]:
    """Cells along one axis of a + t (2 (b - a) + t (a - 2 b + c)), one strand's coefficients for each of its points."""
    linear, square = (2 * (b - a)).astype(np.float32), (a - 2 * b + c).astype(np.float32)
    at: Image = a.astype(np.float32)[owner] + t * (linear[owner] + t * square[owner])
    return np.asarray(np.floor(at).astype(np.int32))


def _fill_bodies(ids: NDArray[np.int32], pose: Pose, width: int, height: int) -> Array:
    """Dark skin under the coat: each ellipsoid's outline, filled. Returns its palette."""
    for i, part in enumerate(PARTS):
        cells = _outline(part, pose, width, height, 1.02)
        ids[cells] = 1 + i
    return np.array(
        [np.array([0.020, 0.011, 0.008]) if p.name != "muzzle" else np.array([0.06, 0.04, 0.03]) for p in PARTS]
    )


def _outline(part: Part, pose: Pose, width: int, height: int, scale: float) -> NDArray[np.int64]:
    turn = _rolled(part.roll)
    turn = pose.head() @ turn if part.head else turn
    spread: Array = (
        turn * np.square(np.array(part.radii, dtype=np.float64) * scale)
    ) @ turn.T  # the outline of x' S^-1 x = 1 is its upper block
    head = np.array([part.head])
    centre = _placed(np.array([part.centre]), head, pose)[0, :2]
    return _disc(centre, np.linalg.inv(spread[:2, :2]), width, height)


def _disc(centre: Array, form: NDArray[np.floating[Any]], width: int, height: int) -> NDArray[np.int64]:
    reach = np.sqrt(np.diag(np.linalg.inv(form)))
    low = np.floor((centre - reach) * height + np.array([width / 2, height / 2])).astype(int)
    high = np.ceil((centre + reach) * height + np.array([width / 2, height / 2])).astype(int) + 1
    xs = np.arange(max(low[0], 0), min(high[0], width))
    ys = np.arange(max(low[1], 0), min(high[1], height))
    dx = ((xs + 0.5 - width / 2) / height - centre[0])[None, :]
    dy = ((ys + 0.5 - height / 2) / height - centre[1])[:, None]
    inside = form[0, 0] * dx**2 + 2 * form[0, 1] * dx * dy + form[1, 1] * dy**2 <= 1
    return np.asarray((ys[:, None] * width + xs[None, :])[inside])


EYES = (((-0.072, -0.112, 0.150), 0.027), ((0.072, -0.112, 0.150), 0.027))
NOSE = ((0.0, -0.072, 0.238), (0.021, 0.016))


def _face(pose: Pose, width: int, height: int) -> list[tuple[float, NDArray[np.int64], Array]]:
    """Eyes and nose: depth at which they are drawn, cells and the colour of each cell."""
    found = []
    for place, radius in EYES:
        centre = _placed(np.array([place]), np.array([True]), pose)[0]
        squeeze = np.array([radius * max(0.35, np.cos(pose.yaw)), radius * 1.06])
        cells = _disc(centre[:2], np.diag(1 / squeeze**2), width, height)
        found.append((place[2], cells, _eye(cells, centre[:2], squeeze, width, height)))
    place, radii = NOSE
    centre = _placed(np.array([place]), np.array([True]), pose)[0]
    cells = _disc(centre[:2], np.diag(1 / np.array(radii) ** 2), width, height)
    found.append((10.0, cells, _nose(cells, centre[:2], np.array(radii), width, height)))
    return found


def _local(cells: NDArray[np.int64], centre: Array, radii: Array, width: int, height: int) -> tuple[Array, Array]:
    x = ((cells % width + 0.5 - width / 2) / height - centre[0]) / radii[0]
    y = ((cells // width + 0.5 - height / 2) / height - centre[1]) / radii[1]
    return np.asarray(x), np.asarray(y)


def _eye(cells: NDArray[np.int64], centre: Array, radii: Array, width: int, height: int) -> Array:
    x, y = _local(cells, centre, radii, width, height)
    r = np.hypot(x, y)
    amber = np.array([0.42, 0.17, 0.025]) * (0.35 + 0.9 * np.clip(y + 0.4, 0, 1.2))[:, None]
    rgb = np.where((r < 0.52)[:, None], np.array([0.004, 0.004, 0.005]), amber)
    rgb = np.where((r > 0.84)[:, None], np.array([0.008, 0.006, 0.006]), rgb)
    for px, py, size, light in ((-0.34, -0.40, 0.20, (3.2, 3.0, 2.7)), (0.36, 0.30, 0.10, (0.25, 0.6, 0.8))):
        rgb = np.where((np.hypot(x - px, y - py) < size)[:, None], np.array(light), rgb)
    return np.asarray(rgb)


def _nose(cells: NDArray[np.int64], centre: Array, radii: Array, width: int, height: int) -> Array:
    x, y = _local(cells, centre, radii, width, height)
    shine = np.exp(-(((x + 0.25) / 0.38) ** 2 + ((y + 0.50) / 0.22) ** 2))
    return np.asarray(np.array([0.010, 0.008, 0.009]) + shine[:, None] * np.array([0.34, 0.32, 0.31]))
