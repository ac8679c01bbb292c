"""`fast`: objects put in their boxes by what is added to attention's scores, inside the fused kernel."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfumato.place.calibration import DEFAULT, Calibration
from sfumato.place.cast import Cast
from sfumato.place.hooks import Steer
from sfumato.place.sites import Site


@dataclass(frozen=True)
class Biased(Steer):
    """Before the softmax, over places p and slots k,

        b(p, k) = s_o gain (up v_o(p) - down (1 - v_o(p)))    for the words k of object o,
        b(p, k) = -gain clear max_o s_o v_o(p)                for words of no object, and 0 for all other slots,

    with v_o the part of a place in o's box that no nearer object's box covers. So an object's words are kept out of
    every other box and of the ground, and where boxes overlap the nearer object wins. Where an object is not to be seen
    its words are taken off everywhere.

    # Differs from TrailBlazer, eq. (1) and (2): what is added goes into the scores, not into the maps, so that every
    # row still sums to 1 and fused attention stays; no trailing slots are touched; and the window over the box is flat:
    # a Gaussian lets edges go, and places 2 % of IoU worse.

    Source: the amplification and suppression before the softmax of Yang et al., "Direct-a-Video", 2024, arXiv
    2402.03162; here the amplification does not depend on the scores, and a single gain scales both.

    cast: Who is where.
    knob: Strength, 0..1; 0 adds nothing.
    calibration: What a knob is on this model.
    """

    cast: Cast
    knob: float = 1.0
    calibration: Calibration = DEFAULT
    _kept: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False, compare=False)

    def bias(self, site: Site) -> Tensor | None:
        """See `Steer`."""
        if site.kind not in ("cross", "joint") or not chosen(self.calibration, site) or self.knob == 0:
            return None
        key = site.height, site.width, site.slots
        if key not in self._kept:
            self._kept[key] = self._made(*key)
        return self._kept[key]

    def _made(self, height: int, width: int, slots: int) -> Tensor:
        gain, settings = self.calibration.gain(self.knob), self.calibration
        strengths = torch.tensor([actor.strengths for actor in self.cast.actors])[:, :, None]
        shown = self.cast.regions(height, width).shown.flatten(2)  # (A, F, P)
        towards = gain * strengths * (settings.up * shown - settings.down * (1 - shown))
        added = torch.einsum("afp,afk->fpk", towards, self.cast.spans(slots))
        if settings.clear:
            away = (strengths * shown).amax(0)
            added -= gain * settings.clear * away[:, :, None] * self.cast.others(slots)[:, None]
        return added


def chosen(calibration: Calibration, site: Site) -> bool:
    """Whether a calibration steers an attention."""
    return not calibration.layers or any(part in site.name for part in calibration.layers)
