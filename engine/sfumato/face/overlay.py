"""What is drawn over a rendered face: dots for markers, lines from where they are to where the rig puts them, heat."""

import torch
from torch import Tensor

from sfumato.face.render import Camera

SEEN, BOUND, LOST = (0.98, 0.98, 0.98), (0.30, 0.78, 0.95), (0.45, 0.45, 0.45)
BEHIND = 0.4  # centimetres a marker may lie under the skin and still be drawn: the thickness of a marker
_HEAT = ((0.55, 0.53, 0.52), (0.93, 0.78, 0.30), (0.90, 0.22, 0.12))  # nothing, half, the full value and above


def heat(values: Tensor, full: float) -> Tensor:
    """Colours (..., 3) of errors (...): grey at 0, yellow at half of `full`, red at `full` and above; NaN is grey."""
    share = (values.nan_to_num(0.0) / full).clamp(0, 1)[..., None].double()
    low, middle, high = (torch.tensor(colour, dtype=torch.float64) for colour in _HEAT)
    return torch.where(share < 0.5, low + (middle - low) * share * 2, middle + (high - middle) * (share * 2 - 1))


def spread(values: Tensor, points: Tensor, vertices: Tensor, reach: float) -> Tensor:
    """Errors known at markers (M,), carried to a mesh's vertices (V,): a mean, weighted by exp(-(distance / reach)^2).

    A vertex further than three times `reach` (centimetres) from every marker that has a value gets 0.
    """
    known = torch.nonzero(values.isfinite())[:, 0]
    if not len(known):
        return torch.zeros(len(vertices), dtype=torch.float64)
    weight = torch.exp(-((torch.cdist(vertices.double(), points[known].double()) / reach) ** 2))
    total = weight.sum(1)
    near = total > torch.exp(torch.tensor(-9.0))
    return torch.where(near, weight @ values[known].double() / total.clamp(min=1e-12), torch.zeros_like(total))


def dots(
    picture: Tensor, depth: Tensor, camera: Camera, points: Tensor, colours: Tensor, radius: float = 2.2
) -> Tensor:
    """The picture (3, H, W) with round dots at points (M, 3); NaN ones and those behind the face are left out.

    depth: (H, W) as `render` gives it. colours: (M, 3). radius: pixels.
    """
    found = picture.clone()
    at = camera.project(points.double())
    shown = _shown(at, depth, camera)
    for (x, y, _), ink in zip(at[shown].tolist(), colours[shown], strict=True):
        _blend(found, x, y, radius + 0.9, torch.zeros(3))
        _blend(found, x, y, radius, ink)
    return found


def lines(picture: Tensor, camera: Camera, start: Tensor, end: Tensor, colours: Tensor, width: float = 0.8) -> Tensor:
    """The picture with a line from each start to each end (M, 3); none where one of them is NaN."""
    found = picture.clone()
    a, b = camera.project(start.double()), camera.project(end.double())
    for p, q, ink in zip(a, b, colours, strict=True):
        if not bool((p + q).isfinite().all()):
            continue
        steps = max(2, int((q - p)[:2].norm()) + 1)
        for share in torch.linspace(0, 1, steps).tolist():
            x, y, _ = (p + (q - p) * share).tolist()
            _blend(found, x, y, width, ink)
    return found


def _shown(at: Tensor, depth: Tensor, camera: Camera) -> Tensor:
    """Which projected points lie in the picture, before the face or just under its skin."""
    x, y = at[:, 0].nan_to_num(-1).long(), at[:, 1].nan_to_num(-1).long()
    inside = (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height) & at.isfinite().all(1)
    skin = depth[y.clamp(0, camera.height - 1), x.clamp(0, camera.width - 1)]
    return inside & (at[:, 2] >= skin - BEHIND)


def _blend(picture: Tensor, x: float, y: float, radius: float, ink: Tensor) -> None:
    """A disc with a soft edge, in place."""
    height, width = picture.shape[1:]
    left, right = max(0, int(x - radius - 1)), min(width, int(x + radius + 2))
    top, bottom = max(0, int(y - radius - 1)), min(height, int(y + radius + 2))
    if left >= right or top >= bottom:
        return
    across = torch.arange(left, right) + 0.5 - x
    down = torch.arange(top, bottom) + 0.5 - y
    cover = (radius + 0.5 - (across**2 + down[:, None] ** 2).sqrt()).clamp(0, 1).float()
    part = picture[:, top:bottom, left:right]
    part.copy_(part * (1 - cover) + cover * ink.float()[:, None, None])
