"""A face rig made by formulas, ours to ship: 51 controls with ARKit's names, a jaw hinge, an in-between, correctives.

What each control does is a sum of bells on the skin, each with a direction: `bell` x, y, width, height, and how far.
"""

import torch
from torch import Tensor

from sfumato.face.binding import Binding, bind
from sfumato.face.demo_head import EYE, MOUTH, MOUTH_AT, Head, bump, lid, make_head
from sfumato.face.rig import Hinge, NativeRig

MARKERS = 76
SIDES = (("Left", 1.0), ("Right", -1.0))


def demo_rig(rows: int = 78, columns: int = 84, markers: int = MARKERS) -> NativeRig:
    """The rig, with markers on it. The same every time."""
    head = make_head(rows, columns)
    shapes = _Shapes(head)
    moves = shapes.every()
    names = tuple(moves)
    between = tuple((names.index(f"eyeBlink{side}"), 0.5, delta) for side, delta in shapes.half_blinks().items())
    pairs = tuple(
        (tuple(names.index(n) for n in rows_), delta) for rows_, delta in shapes.correctives(_hinge(head)).items()
    )
    rig = NativeRig(
        controls=names,
        neutral=head.points,
        faces=head.faces,
        deltas=torch.stack(list(moves.values())),
        regions=_regions(head),
        between=between,
        combinations=pairs,
        jaw=_hinge(head),
    )
    where = _spread(head, markers)
    binding = bind(rig, head.points[where], [f"m{i:02d}" for i in range(len(where))])
    return NativeRig(**{**{name: getattr(rig, name) for name in rig.__dataclass_fields__}, "markers": binding})


def demo_markers(rig: NativeRig) -> Binding:
    """Where the rig's markers sit."""
    assert rig.markers is not None
    return rig.markers


class _Shapes:
    """The displacements (V, 3) of every control."""

    def __init__(self, head: Head) -> None:
        self.head, self.points = head, head.points
        skin = head.skin.double()
        self.upper = bump(self.points, 0, -4.8, 2.0, 0.62) * head.above * skin
        self.lower = bump(self.points, 0, -5.65, 1.9, 0.62) * (1 - head.above) * skin
        self.left = torch.sigmoid(self.points[:, 0] / 0.45)

    def moved(self, *bells: tuple[Tensor, float, float, float]) -> Tensor:
        """The sum of weights (V,), each times a direction."""
        return sum(
            (weight[:, None] * torch.tensor(move, dtype=torch.float64) for weight, *move in bells),
            torch.zeros_like(self.points),
        )

    def bell(self, x: float, y: float, wide: float, tall: float) -> Tensor:
        return bump(self.points, x, y, wide, tall) * self.head.skin.double()

    def every(self) -> dict[str, Tensor]:
        """By control's name."""
        found = {"jawOpen": self.moved((self.bell(0, -7.5, 2.5, 1.0), 0, -0.1, -0.15))}
        for name in ("jawForward", "jawLeft", "jawRight"):  # what the hinge does is all they do
            found[name] = self.moved()
        found |= self._mouth()
        for side, sign in SIDES:
            found |= self._eye(side, sign) | self._side(side, sign)
        found["browInnerUp"] = self.moved(
            (self.bell(0.9, 2.9, 1.1, 0.8), 0, 0.6, 0), (self.bell(-0.9, 2.9, 1.1, 0.8), 0, 0.6, 0)
        )
        puffed = (self.bell(3.9, -4.2, 1.2, 1.5), self.bell(-3.9, -4.2, 1.2, 1.5))
        found["cheekPuff"] = self.moved((puffed[0], 0.75, 0, 0.55), (puffed[1], -0.75, 0, 0.55))
        return found

    def _mouth(self) -> dict[str, Tensor]:
        corner = {sign: self.bell(sign * 2.4, MOUTH, 0.85, 0.8) for _, sign in SIDES}
        lips, whole = self.upper + self.lower, self.bell(0, MOUTH, 2.4, 1.3)
        inward = [(corner[sign], -0.55 * sign, 0.0, 0.15) for sign in (1.0, -1.0)]
        tight = [(corner[sign], -0.85 * sign, 0.0, 0.3) for sign in (1.0, -1.0)]
        return {
            "mouthClose": self.moved((self.lower, 0, 0.12, 0), (self.upper, 0, -0.08, 0)),
            "mouthFunnel": self.moved(*inward, (self.upper, 0, 0.28, 0.5), (self.lower, 0, -0.28, 0.5)),
            "mouthPucker": self.moved(*tight, (lips, 0, 0, 0.7)),
            "mouthLeft": self.moved((whole, 0.75, 0.05, -0.1)),
            "mouthRight": self.moved((whole, -0.75, 0.05, -0.1)),
            "mouthRollLower": self.moved((self.lower, 0, 0.16, -0.45)),
            "mouthRollUpper": self.moved((self.upper, 0, -0.16, -0.45)),
            "mouthShrugLower": self.moved((self.lower, 0, 0.3, 0.12), (self.bell(0, -7.8, 1.5, 0.9), 0, 0.45, 0.1)),
            "mouthShrugUpper": self.moved((self.upper, 0, 0.3, 0.2)),
        }

    def _side(self, side: str, sign: float) -> dict[str, Tensor]:
        """Mouth, cheek, nose and brow of one side."""
        half = self.left if sign > 0 else 1 - self.left
        corner, cheek = self.bell(sign * 2.4, MOUTH, 0.95, 0.85), self.bell(sign * 3.7, -1.2, 1.2, 1.0)
        upper, lower = self.upper * half, self.lower * half
        moves: dict[str, list[tuple[Tensor, float, float, float]]] = {
            "mouthSmile": [(corner, 0.55 * sign, 0.75, -0.25), (cheek, 0.05 * sign, 0.3, 0.2)],
            "mouthFrown": [(corner, 0.1 * sign, -0.65, -0.1)],
            "mouthDimple": [(corner, 0.3 * sign, 0.0, -0.45)],
            "mouthStretch": [
                (corner, 0.7 * sign, -0.2, -0.2),
                (self.bell(sign * 2.6, -8.5, 1.3, 1.2), 0.15 * sign, -0.1, 0),
            ],
            "mouthPress": [(upper, 0, -0.14, -0.12), (lower, 0, 0.14, -0.12)],
            "mouthLowerDown": [(lower, 0, -0.55, 0.0)],
            "mouthUpperUp": [(upper, 0, 0.5, 0.05), (self.bell(sign * 1.6, -3.4, 0.7, 0.6), 0, 0.15, 0)],
            "cheekSquint": [(self.bell(sign * 3.5, -0.7, 1.3, 0.8), 0, 0.45, 0.15)],
            "noseSneer": [(self.bell(sign * 1.0, -2.0, 0.7, 0.8), 0.05 * sign, 0.45, 0.05), (upper, 0, 0.1, 0)],
            "browDown": [(self.bell(sign * 2.2, 2.7, 1.7, 0.7), -0.15 * sign, -0.55, 0.1)],
            "browOuterUp": [(self.bell(sign * 4.3, 2.8, 1.4, 0.9), 0.05 * sign, 0.65, 0)],
        }
        return {f"{name}{side}": self.moved(*bells) for name, bells in moves.items()}

    def _eye(self, side: str, sign: float) -> dict[str, Tensor]:
        upper, lower = self._lids(sign)
        ball = (self.head.ball == (1.0 if sign > 0 else 2.0)).double()
        from_middle = (self.points - self.points[ball > 0].mean(0)) * ball[:, None]
        down = torch.stack([from_middle[:, 0] * 0, -from_middle[:, 2], from_middle[:, 1]], -1) * 0.4
        out = torch.stack([from_middle[:, 2], from_middle[:, 1] * 0, -from_middle[:, 0]], -1) * 0.4 * sign
        return {
            f"eyeBlink{side}": self.moved((upper, 0, -0.84, 0.12)),
            f"eyeLookDown{side}": down + self.moved((upper, 0, -0.34, 0), (lower, 0, -0.06, 0)),
            f"eyeLookUp{side}": -down + self.moved((upper, 0, 0.2, 0), (lower, 0, 0.05, 0)),
            f"eyeLookIn{side}": -out + self.moved((upper + lower, -0.06 * sign, 0, 0)),
            f"eyeLookOut{side}": out + self.moved((upper + lower, 0.06 * sign, 0, 0)),
            f"eyeSquint{side}": self.moved(
                (lower, 0, 0.22, 0), (upper, 0, -0.1, 0), (self.bell(sign * 3.3, -0.1, 1.3, 0.4), 0, 0.15, 0)
            ),
            f"eyeWide{side}": self.moved((upper, 0, 0.3, 0), (lower, 0, -0.06, 0)),
        }

    def _lids(self, sign: float) -> tuple[Tensor, Tensor]:
        upper, lower = lid(self.head.shut, self.head.above, sign)
        return upper * self.head.skin, lower * self.head.skin

    def half_blinks(self) -> dict[str, Tensor]:
        """What a lid does half-way: it goes round the eyeball."""
        found = {}
        for side, sign in SIDES:
            upper, _ = self._lids(sign)
            found[side] = self.moved((upper, 0, -0.42, 0.2))
        return found

    def correctives(self, jaw: Hinge) -> dict[tuple[str, ...], Tensor]:
        """What products of controls add: lips that stay shut over an open jaw, corners that do not bulge."""
        from sfumato.face.rig import rotation

        angle = next(about for name, about in jaw.turns if name == "jawOpen")
        from_pivot = self.points - jaw.pivot
        opened = jaw.weights[:, None] * (from_pivot @ rotation(angle).T - from_pivot)
        inner = (1 - (self.points[:, 0] / MOUTH_AT) ** 2).clamp(min=0.0).sqrt()
        shut = -opened * (self.lower * inner)[:, None]
        both = {f"mouthSmile{side}": self.bell(sign * 2.4, MOUTH, 1.0, 1.0) for side, sign in SIDES}
        found: dict[tuple[str, ...], Tensor] = {("jawOpen", "mouthClose"): shut}
        for (name, weight), (_, sign) in zip(both.items(), SIDES, strict=True):
            found["jawOpen", name] = self.moved((weight, -0.2 * sign, -0.15, -0.1))
            found["mouthPucker", name] = self.moved((weight, -0.25 * sign, -0.3, 0.2))
        found["browDownLeft", "browInnerUp"] = self.moved((self.bell(1.4, 3.2, 0.8, 0.6), 0, 0.12, 0.12))
        found["browDownRight", "browInnerUp"] = self.moved((self.bell(-1.4, 3.2, 0.8, 0.6), 0, 0.12, 0.12))
        return found


def _hinge(head: Head) -> Hinge:
    """The jaw: all below the mouth, the lower lip wholly, fading into the cheeks."""
    x, y, z = head.points.unbind(1)
    beside = torch.sigmoid((MOUTH - 0.3 - y) * 1.5)
    lips = (1 - (x / MOUTH_AT) ** 2).clamp(min=0.0).sqrt() * torch.exp(-(((y - MOUTH) / 1.5) ** 2))
    share = (lips * (1 - head.above) + (1 - lips) * beside) * torch.sigmoid((z + 1.5) * 1.2) * head.skin
    turn = {"jawOpen": (0.34, 0.0, 0.0), "jawLeft": (0.0, 0.1, 0.0), "jawRight": (0.0, -0.1, 0.0)}
    slide = {"jawForward": (0.0, 0.0, 0.75), "jawOpen": (0.0, -0.1, 0.1)}
    exact = {"dtype": torch.float64}
    return Hinge(
        torch.tensor([0.0, -0.8, -0.6], **exact),  # type: ignore[arg-type]
        share,
        tuple((name, torch.tensor(about, dtype=torch.float64)) for name, about in turn.items()),
        tuple((name, torch.tensor(along, dtype=torch.float64)) for name, along in slide.items()),
    )


def _regions(head: Head) -> dict[str, Tensor]:
    """Vertices by part of the face, by where they lie."""
    x, y, z = head.points.unbind(1)
    front = head.skin & (z > 1.0)
    wide = x.abs()
    found = {
        "brow": front & (y > 2.0) & (y < 4.2) & (wide < 6),
        "eye": front & (y > -0.2) & (y < 2.0) & (wide > 1.2) & (wide < 5.5),
        "nose": front & (y > -3.6) & (y < 1.5) & (wide < 1.6),
        "cheek": front & (y > -4.0) & (y < -0.2) & (wide >= 1.6),
        "mouth": front & (y > -7.0) & (y < -3.6) & (wide < 3.6),
        "jaw": front & (y < -6.2),
        "stable": front
        & (((y > 4.6) & (y < 8.5)) | ((wide < 0.8) & (y > -1.0) & (y < 1.6)) | ((wide > 5.6) & (y > 1.5))),
    }
    return {name: torch.nonzero(inside)[:, 0] for name, inside in found.items()}


def _spread(head: Head, count: int) -> Tensor:
    """Vertices for markers: lips, lids and brows first, then each as far as can be from those before it."""
    x, y, z = head.points.unbind(1)
    able = head.skin & (z > 2.5) & (y < 7.0) & (y > -9.6)
    eye_x, eye_y = EYE
    named = [(0, -4.55), (1.3, -4.6), (-1.3, -4.6), (0, -5.95), (1.2, -5.9), (-1.2, -5.9), (2.6, MOUTH), (-2.6, MOUTH)]
    named += [
        (s * (eye_x + dx), eye_y + dy)
        for s in (1, -1)
        for dx, dy in ((0, 0.6), (0.8, 0.5), (-0.8, 0.5), (0, -0.3), (0.7, -0.25))
    ]
    named += [(s * bx, 2.8) for s in (1, -1) for bx in (1.0, 2.4, 3.8, 5.0)] + [(0, -8.3), (0, -2.4), (0, 0.5)]
    chosen: list[int] = []
    for px, py in named:
        apart = ((x - px) ** 2 + (y - py) ** 2).where(able, torch.inf)
        chosen.append(int(apart.argmin()))
    chosen = list(dict.fromkeys(chosen))
    near = torch.cdist(head.points, head.points[chosen]).amin(1)
    while len(chosen) < count:
        far = int(near.where(able, -1.0).argmax())
        chosen.append(far)
        near = torch.minimum(near, (head.points - head.points[far]).norm(dim=1))
    return torch.tensor(chosen)
