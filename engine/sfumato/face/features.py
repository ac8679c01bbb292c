"""Graph features after FDLS: what an artist reads off markers is how far apart they are, against that day's neutral.

Nodes are markers. Edges join each marker to its nearest, and pairs that mean something: upper to lower lip, corner to
corner, lid to lid, brow to nose, chin to nose. An edge's features are its signed relative length and its vector over
its length at rest, both less their value on the neutral; distances cancel any rigid motion, and vectors a shift.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import RequestError
from sfumato.face.markers import Markers

FEATURES = 4  # numbers an edge: relative length, and the vector's three
TRUSTED = 0.02  # confidence up to which a marker counts as unseen
ENOUGH = 0.5  # share of the markers that must be in a take


@dataclass(frozen=True)
class Graph:
    """Which markers are looked at together.

    edges: (E, 2) int64 marker indices, first < second, each pair once.
    rest: (M, 3) float64 cm; the markers on the neutral.
    """

    edges: Tensor
    rest: Tensor

    def on(self, rest: Tensor) -> "Graph":
        """The same edges measured against another neutral, (M, 3): a new day."""
        return Graph(self.edges, rest.to(self.rest))


def build_graph(rest: Tensor, nearest: int = 6, pairs: tuple[tuple[int, int], ...] = ()) -> Graph:
    """Join every marker to its `nearest` neighbours on the neutral, and the given pairs.

    Args:
        rest: (M, 3) float64 cm, finite.
        nearest: Neighbours a marker, 1 or more.
        pairs: Marker indices that mean something together, whatever their distance.

    Raises:
        RequestError: fewer than two markers, two of them in one place, or one without a place.
    """
    if len(rest) < 2:
        raise RequestError("a face graph needs two markers or more", "check that the take has its labels")
    if not bool(rest.isfinite().all()):
        raise RequestError("a marker has no place on the neutral", "bind every marker to the rig first")
    apart = torch.cdist(rest, rest).fill_diagonal_(torch.inf)
    if float(apart.min()) < 1e-6:
        first, second = divmod(int(apart.argmin()), len(rest))
        raise RequestError(f"markers {first} and {second} lie on the same point of the neutral", "drop one of them")
    near = apart.topk(min(nearest, len(rest) - 1), largest=False).indices
    found = {(min(a, b), max(a, b)) for a, row in enumerate(near.tolist()) for b in row}
    found |= {(min(a, b), max(a, b)) for a, b in pairs if a != b}
    return Graph(torch.tensor(sorted(found), dtype=torch.int64), rest.double())


def graph_features(graph: Graph, points: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Features of every edge in every frame.

    Args:
        graph: Edges and the neutral they are measured against.
        points: (F, M, 3) cm, NaN where unseen.
        seen: (F, M) bool; False distrusts a marker that has a place. Default: whatever is finite.

    Returns:
        values: (F, E, 4) of the dtype of points; [(length - rest) / rest, (vector - rest vector) / rest], 0 where
            either end is unseen.
        valid: (F, E) bool; both ends seen.
    """
    there = points.isfinite().all(-1) if seen is None else seen & points.isfinite().all(-1)
    first, second = graph.edges.unbind(1)
    valid = there[:, first] & there[:, second]
    rest = (graph.rest[second] - graph.rest[first]).to(points)
    length = rest.norm(dim=-1, keepdim=True)
    vector = points[:, second] - points[:, first]
    values = torch.cat([(vector.norm(dim=-1, keepdim=True) - length) / length, (vector - rest) / length], -1)
    return torch.where(valid[..., None], values, values.new_zeros(())), valid


def believed(take: Markers, confidence: Tensor, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Positions (F, M, 3) of these markers, in their order, and how much each is believed (F, M), 0 where unseen.

    Args:
        confidence: Of the take's own markers.

    Raises:
        RequestError: fewer than half of them are in the take.
    """
    lost = [name for name in names if name not in take.names]
    if len(names) - len(lost) < ENOUGH * len(names):
        raise RequestError(
            f"the solver was trained on {len(names)} markers, and {len(lost)} of them are not in the take: "
            f"{', '.join(lost[:5])}{' ...' if len(lost) > 5 else ''}",
            "rename them in the take, or train a solver on this set of markers",
        )
    column = {name: i for i, name in enumerate(take.names)}
    sure = torch.zeros(len(confidence), len(names), dtype=torch.float64)
    there = [i for i, name in enumerate(names) if name in column]
    sure[:, there] = confidence[:, [column[names[i]] for i in there]].double()
    mine = take.only(names, unseen=True)
    return mine.positions, torch.where(mine.seen & (sure > TRUSTED), sure, torch.zeros_like(sure))


def semantic_pairs(rest: Tensor, moved: Mapping[str, Tensor]) -> tuple[tuple[int, int], ...]:
    """Pairs an animator would measure, found from what the rig's controls move.

    Args:
        rest: (M, 3) markers on the neutral, Y up, the face looking along +Z.
        moved: Control name to (M, 3) displacement of the markers at its full value.

    Returns:
        Upper to lower lip, mouth corner to corner, lid to lid, brow to nose and chin to nose, as far as the controls
        named jawOpen, mouthSmile*, eyeBlink* and brow* are there.
    """
    pairs: list[tuple[int, int]] = []
    named = {name.lower().replace("_", ""): shift for name, shift in moved.items()}
    smiles = [int(shift.norm(dim=-1).argmax()) for name, shift in named.items() if name.startswith("mouthsmile")]
    if len(smiles) == 2:
        pairs.append((smiles[0], smiles[1]))
    jaw = named.get("jawopen")
    nose = _nose(rest)
    if jaw is not None:
        chin = int((jaw.norm(dim=-1) - rest[:, 0].abs() * 0.1 * float(jaw.norm(dim=-1).max())).argmax())
        pairs += [(chin, nose), *_lips(rest, jaw, smiles)]
    for name, shift in named.items():
        size = shift.norm(dim=-1)
        if name.startswith("eyeblink"):
            lid = int(size.argmax())
            below = torch.where(
                (rest[:, 1] < rest[lid, 1]) & (size < 0.3 * size.max()), (rest - rest[lid]).norm(dim=-1), torch.inf
            )
            pairs.append((lid, int(below.argmin())))
        if name.startswith("brow"):
            pairs.append((int(size.argmax()), nose))
    return tuple(sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}))


def _nose(rest: Tensor) -> int:
    """The foremost marker near the middle."""
    width = float(rest[:, 0].amax() - rest[:, 0].amin())
    return int((rest[:, 2] - 1e3 * (rest[:, 0].abs() > 0.15 * width)).argmax())


def _lips(rest: Tensor, jaw: Tensor, corners: list[int]) -> list[tuple[int, int]]:
    """Between the corners of the mouth: each marker the jaw carries, with the nearest above that it does not."""
    if len(corners) != 2:
        return []
    left, right = sorted(float(rest[corner, 0]) for corner in corners)
    level = float(rest[corners, 1].mean())
    close = (rest[:, 0] > left) & (rest[:, 0] < right) & ((rest[:, 1] - level).abs() < 0.5 * (right - left))
    carried = jaw.norm(dim=-1) > 0.5 * float(jaw.norm(dim=-1).max())
    above = (close & ~carried).nonzero()[:, 0]
    if not len(above):
        return []
    return [
        (int(below), int(above[(rest[above] - rest[below]).norm(dim=-1).argmin()]))
        for below in (close & carried).nonzero()[:, 0]
    ]
