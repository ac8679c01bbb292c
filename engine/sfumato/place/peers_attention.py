"""Peers that steer attention: Direct-a-Video's bias, Peekaboo's masks, FreeTraj's attention and noise."""

from typing import Literal

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.director import Plain, Scene
from sfumato.place.hooks import Steer
from sfumato.place.noise import flowing
from sfumato.place.sites import Site
from sfumato.place.window import active, until_part

NEVER = -1e4


class _Amplified(Steer):
    def __init__(self, scene: Scene, lift: float) -> None:
        self.scene, self.lift = scene, lift

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        return "scores" if site.kind == "cross" else None

    def see(self, site: Site, shown: Tensor) -> Tensor:
        masks = self.scene.cast.regions(site.height, site.width).masks.flatten(2).to(shown.device).round()
        spans = self.scene.cast.spans(site.slots).to(shown.device)
        out = shown
        for mask, span in zip(masks, spans, strict=True):
            inside = torch.einsum("fp,fk->fpk", mask, span)
            outside = torch.einsum("fp,fk->fpk", 1 - mask, span)
            size = (1 - mask.mean(-1))[:, None, None]
            out = out + (self.lift * size * inside)[:, None] * shown.abs() + (NEVER * outside)[:, None]
        return out


class DirectAVideo(Plain):
    """Yang et al., "Direct-a-Video", 2024, arXiv 2402.03162, spatial cross-attention modulation.

    S = lambda (1 - |B| / |A|) |Q K^T| is added before the softmax to an object's words inside its box while
    t >= 0.95 T, lambda 25; they are taken off everywhere outside it in the whole walk.
    """

    def __init__(self, scene: Scene) -> None:
        self.knob, self.until = scene.knob, until_part(scene.grid, 0.05)
        self.first, self.later = _Amplified(scene, 25 * scene.knob), _Amplified(scene, 0)

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        if not self.knob:
            return None
        return self.first if active(node, self.until) else self.later


class _Masked(Steer):
    """Inside looks at inside and outside at outside: in words, in space and in time."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def bias(self, site: Site) -> Tensor | None:
        regions = self.scene.cast.regions(site.height, site.width)
        inside = regions.masks.amax(0).flatten(1).round()  # (F, P)
        if site.kind == "cross":
            spans, others = self.scene.cast.spans(site.slots).amax(0), self.scene.cast.others(site.slots)
            apart = torch.einsum("fp,fk->fpk", inside, others) + torch.einsum("fp,fk->fpk", 1 - inside, spans)
            return NEVER * apart
        if site.kind == "temporal":
            rows = inside.T  # (P, F)
            return NEVER * (rows[:, :, None] - rows[:, None]).abs()
        return NEVER * (inside[:, :, None] - inside[:, None]).abs() if site.kind == "self" else None


class Peekaboo(Plain):
    """Jain et al., "PEEKABOO: Interactive Video Generation via Masked-Diffusion", CVPR 2024: masks in the first 2 of 50
    steps in attention to words, in space and in time. It knows one subject: several are one here."""

    def __init__(self, scene: Scene) -> None:
        self.masked, self.until = _Masked(scene) if scene.knob else None, until_part(scene.grid, 2 / 50)

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        return self.masked if active(node, self.until) else None


class _Trajectory(Steer):
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        return "maps" if site.kind == "cross" else "scores" if site.kind in ("self", "temporal") else None

    def see(self, site: Site, shown: Tensor) -> Tensor:
        regions = self.scene.cast.regions(site.height, site.width)
        inside = regions.masks.amax(0).flatten(1).round().to(shown.device)
        if site.kind != "cross":
            rows = inside.T if site.kind == "temporal" else inside
            apart = (rows[:, :, None] - rows[:, None]).abs()[:, None]
            return shown * torch.where(apart > 0, 0.01, 1.0)
        others = self.scene.cast.others(site.slots).to(shown.device)
        out = shown * (1 - torch.einsum("fp,fk->fpk", inside, others))[:, None]
        for number, actor in enumerate(self.scene.cast.actors):
            mask, bump = (x[number].flatten(1).to(shown.device) for x in (regions.masks.round(), regions.bumps))
            span = self.scene.cast.spans(site.slots)[number].to(shown.device)
            part = mask.mean(-1, keepdim=True).clamp(min=1 / mask.shape[1])
            each = 0.25 * self.scene.knob / part / max(1, len(actor.slots[0]))
            out = out + torch.einsum("fp,fk->fpk", each * bump * mask, span)[:, None]
        return out


class FreeTraj(Plain):
    """Qiu et al., "FreeTraj: Tuning-Free Trajectory Control in Video Diffusion Models", 2024, arXiv 2406.16863.

    Noise that flows along the box; in the first 6 of 50 steps words of the object gain 0.25 / (|B| n) times a Gaussian
    inside the box, |B| its part of the frame and n their number, other words lose it there, and scores between inside
    and outside, in space and in time, are multiplied by 0.01.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.until = scene, until_part(scene.grid, 6 / 50)
        self.trajectory = _Trajectory(scene) if scene.knob else None

    def start(self, noise: Tensor) -> Tensor:
        """See `Director`."""
        return flowing(noise, self.scene.cast, self.scene.seed) if self.scene.knob else noise

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        return self.trajectory if active(node, self.until) else None
