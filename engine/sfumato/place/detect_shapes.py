"""Which of the world's outlines covers a picture most like a thing that was seen, and where exactly."""

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.models.training.render import covers_of
from sfumato.models.training.scenes import REACHES, SHAPES, Thing
from sfumato.place.box import Box

ROUNDS = 4  # of Gauss-Newton
STEP = 0.3  # pixels, for slopes
NEAR = 0.2  # shapes whose likeness is less than the best one's by more than this are out
LIKE = 0.6  # what is less like its shape than this keeps the box it was seen in


def fitted(cover: Tensor, box: Box) -> tuple[str, Box, float]:
    """The shape of a thing, its box, and how like its outline it is, 0..1.

    The four edges of an outline's box are moved until what it covers differs least, squared, from what was seen.

    Args:
        cover: (H, W), how much of each pixel the thing covers, 0..1; nothing outside the frame is known.
        box: Of the thing, to a pixel or so; also what is returned for a thing like none of the shapes.
    """
    first = _likenesses(cover, [(shape, box) for shape in SHAPES])
    hopeful = [shape for shape, like in zip(SHAPES, first, strict=True) if like > max(first) - NEAR]
    boxes = [(shape, _moved(cover, shape, box)) for shape in hopeful]
    likenesses = _likenesses(cover, boxes)
    best = max(range(len(boxes)), key=lambda n: likenesses[n])
    shape, moved = boxes[best]
    return shape, (moved if likenesses[best] > LIKE else box), likenesses[best]


def within(shape: str, box: Box, colour: str = "red") -> Thing:
    """The thing of a shape whose `bounds` are a box."""
    left, up, right, down = REACHES[shape]
    wide, high = box.width / (left + right), box.height / (up + down)
    x, y = box.left + left * wide, box.top + up * high
    return Thing(shape, colour, x, y, 2 * (wide * high) ** 0.5, aspect=wide / high)


def _likenesses(cover: Tensor, outlines: list[tuple[str, Box]]) -> list[float]:
    """Shared over joint cover of each outline in its box."""
    covers = covers_of([within(shape, box) for shape, box in outlines], cover.shape)
    shared = torch.minimum(covers, cover).sum((1, 2)) / torch.maximum(covers, cover).sum((1, 2)).clamp(min=1e-6)
    return [float(s) for s in shared]


def _moved(cover: Tensor, shape: str, box: Box) -> Box:
    """A box whose edges Gauss-Newton has moved, none further than a quarter of a side a round."""
    steps = torch.tensor([STEP / cover.shape[1], STEP / cover.shape[0]] * 2, dtype=torch.float64)
    for _ in range(ROUNDS):
        if min(box.width / steps[0], box.height / steps[1]) < 2:  # thinner than what a slope is measured over
            return box
        edges = torch.tensor(box.edges, dtype=torch.float64)
        tried = [Box(*edges.tolist()), *(Box(*(edges + step).tolist()) for step in torch.diag(steps))]
        covers = covers_of([within(shape, one) for one in tried], cover.shape).flatten(1).double()
        slopes = (covers[1:] - covers[:1]) / steps[:, None]
        square = slopes @ slopes.T
        square = square + 1e-3 * square.diagonal().max() * torch.eye(4, dtype=torch.float64)
        change = torch.linalg.solve(square, slopes @ (cover.flatten().double() - covers[0]))
        most = torch.tensor([box.width, box.height] * 2, dtype=torch.float64) / 4
        try:
            box = Box(*(edges + change.clamp(-most, most)).tolist())
        except RequestError:  # edges have crossed: this is not its shape
            return box
    return box
