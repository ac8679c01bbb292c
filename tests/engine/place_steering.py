"""What tests direct the tiny networks with: words in a box, and a steer that sees where words look."""

import torch
from place_networks import FRAMED, WORDS

from sfumato.place.bias import Biased
from sfumato.place.box import Box
from sfumato.place.cast import Actor, Cast
from sfumato.place.hooks import Steer
from sfumato.place.masks import coverage

SLOTS = 24
BOX = Box(0.5, 0.1, 0.9, 0.6)
DIRECTED = (3, 4)  # slots of the object's words


class Seeing(Steer):
    """Another steer, and how much of its words' attention falls into the box, attention by attention."""

    def __init__(self, inner):
        self.inner, self.mass, self.part, self.kinds = inner, {}, {}, set()

    def bias(self, site):
        self.kinds.add(site.kind)
        return self.inner.bias(site)

    def wants(self, site):
        return "maps" if site.kind in ("cross", "joint") else None

    def see(self, site, shown):
        assert shown.shape[1] == site.frames
        assert shown.shape[3:] == (site.height * site.width, SLOTS)
        words = shown[..., list(DIRECTED)].sum(-1).mean((0, 1, 2)).reshape(site.height, site.width)
        inside = coverage(BOX, site.height, site.width)
        self.mass[site.name] = float((words * inside).sum())
        self.part[site.name] = self.mass[site.name] / float(words.sum())


def inputs(name, size=(12, 16), frames=3, rows=2):
    generator = torch.Generator().manual_seed(1)
    shape = (rows, 4, frames, *size) if name in FRAMED else (rows, 4, *size)
    return torch.randn(shape, generator=generator), torch.randn(rows, SLOTS, WORDS, generator=generator)


def fast(frames, knob=1.0):
    always = (DIRECTED,) * frames
    return Biased(
        Cast((Actor("ball", always, ((BOX,),) * frames, (0.0,) * frames, (1.0,) * frames),), frames, always), knob
    )


def frames_of(name, latent):
    return latent.shape[2] if name in FRAMED else 1
