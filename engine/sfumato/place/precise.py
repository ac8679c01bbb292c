"""`fast` and `precise`, sfumato's own methods."""

from dataclasses import replace

import torch
from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.bias import Biased, chosen
from sfumato.place.cast import Cast
from sfumato.place.director import Nudging, Plain, Scene
from sfumato.place.gradient import Losing, gradient, stepped
from sfumato.place.hooks import Steer
from sfumato.place.sites import Site
from sfumato.place.window import active, edited_steps


class Fast(Plain):
    """`Biased` attention while there is more noise than the calibration's window."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.biased = scene, Biased(scene.cast, scene.knob, scene.calibration)

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        return self.biased if self.scene.knob and active(node, self.scene.calibration.window) else None


class Precise(Fast):
    """`Fast`, and at each of its levels a few steps of the latent along the gradient of `spread`.

    The step shrinks towards the end of the window, in even parts of its levels, so that the picture settles.

    # Differs from layout guidance (Chen et al. 2024) and BoxDiff (Xie et al. 2023), which leave attention as it is:
    # here the gradient sees attention with its bias, so both pull the same way and neither needs to pull hard.
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        whole = scene.calibration
        knots = whole.precise or whole.knots
        self.gentle = replace(whole, up=whole.up / 2, down=whole.down / 2, knots=knots)  # enough beside a gradient
        self.biased = Biased(scene.cast, scene.knob, self.gentle)
        self.count, self.done = edited_steps(scene.grid, scene.calibration.window), 0

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        steer, settings = self.steer(node), self.gentle
        if steer is None:
            return latent
        rate = settings.rate * settings.gain(self.scene.knob) * (1 - self.done / self.count)
        self.done += 1
        losing = Losing(steer, lambda site, maps: spread(self.scene.cast, site, maps), lambda s: chosen(settings, s))
        for _ in range(settings.rounds):
            _, slope = yield from gradient(latent, node, losing)
            latent = stepped(latent, slope, rate)
        return latent


def spread(cast: Cast, site: Site, maps: Tensor) -> Tensor:
    """How much of each object's attention falls outside its box: the mean over objects and frames of

        E = (1 - sum_p v_o(p) A_o(p) / sum_p A_o(p))^2,

    A_o(p) the attention of place p to o's words, heads and words averaged. Chen, Laina, Vedaldi, "Training-Free Layout
    Control with Cross-Attention Guidance", WACV 2024, eq. (1).

    # Differs from the paper: v_o, the box less nearer objects' boxes, by area, stands for the box; objects that are not
    # to be seen count with all of their attention.
    """
    _, shown, _ = (x.flatten(2).to(maps.device) for x in cast.regions(site.height, site.width))
    spans = cast.spans(site.slots).to(maps.device)
    words = torch.einsum("rfhpk,afk->rafp", maps, spans / spans.sum(-1, keepdim=True).clamp(min=1)) / maps.shape[2]
    outside = 1 - (words * shown).sum(-1) / words.sum(-1).clamp(min=1e-12)
    strengths = torch.tensor([actor.strengths for actor in cast.actors], device=maps.device)
    return (outside.square() * strengths).mean()
