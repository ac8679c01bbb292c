"""`fast` and `precise`, sfumato's own methods."""

from dataclasses import replace

from torch import Tensor

from sfumato.diffusion.schedule import Node
from sfumato.place.bias import Biased
from sfumato.place.cast import Cast
from sfumato.place.director import Nudging, Plain, Scene
from sfumato.place.gradient import Losing, gradient, of_objects, stepped
from sfumato.place.hooks import Steer
from sfumato.place.sites import Site
from sfumato.place.window import active, log_snr

HELD = 0.65  # of its highest attention: enough for an object to be seen in a row
SPILT = 0.1  # so little that it is not


class Fast(Plain):
    """`Biased` attention while there is more noise than the calibration's window."""

    def __init__(self, scene: Scene) -> None:
        self.scene, held = scene, replace(scene.calibration, up=0.0)
        self.lifted, self.held = (Biased(scene.cast, scene.knob, c) for c in (scene.calibration, held))

    def steer(self, node: Node) -> Steer | None:
        """See `Director`."""
        settings = self.scene.calibration
        if not self.scene.knob or not active(node, settings.window):
            return None
        return self.lifted if active(node, settings.lifts) else self.held


class Precise(Fast):
    """`Fast`, and between two noise levels a few steps of the latent along the gradient of `apart`.

    # Differs from layout guidance (Chen et al. 2024) and BoxDiff (Xie et al. 2023): it begins where words' maps begin
    # to show where things are, and looks only at attentions whose maps do, so that most of the network need not be run.
    """

    def __init__(self, scene: Scene) -> None:
        settings = scene.calibration
        settings = replace(settings, knots=settings.precise or settings.knots)
        super().__init__(scene._replace(calibration=settings))
        self.rate = settings.rate * settings.gain(scene.knob)
        self.losing = Losing(Steer(), lambda site, maps: apart(scene.cast, site, maps), self._counts)

    def nudge(self, latent: Tensor, node: Node) -> Nudging:
        """See `Director`."""
        settings = self.scene.calibration
        if self.rate and settings.early <= log_snr(node) <= settings.late:
            for _ in range(settings.rounds):
                _, slope = yield from gradient(latent, node, self.losing)
                latent = stepped(latent, slope, self.rate)
        return latent

    def _counts(self, site: Site) -> bool:
        shows = self.scene.calibration.shows
        return not shows or any(part in site.name for part in shows)


def apart(cast: Cast, site: Site, maps: Tensor) -> Tensor:
    """How far each object's box in its attention is from its box: the mean over objects and frames of

        E = mean_y e(max_x m(y, x), max_x v(y, x)) + mean_x e(max_y m(y, x), max_y v(y, x)),
        e(m, v) = relu(v - m / HELD)^2 + relu(m - v - (1 - v) SPILT)^2,

    m the attention to the object's words over its own highest, v the part of each place that is to show the object. So
    rows and columns where it should be seen are to hold two thirds of its highest somewhere, and others next to
    nothing: a ball need not fill corners, and a cone may end in a tip.

    # Differs from BoxDiff's corner constraint, on the same projections: all of them count, and in parts of places, so
    # that an edge may lie within one; and enough is enough. To ask for the highest in every row gave cones two horns
    # and crosses none. An object that is not to be seen counts with all of its attention.
    """
    words, shown, strengths = of_objects(cast, site, maps)
    grid = site.height, site.width
    shares = (words / words.amax(-1, keepdim=True).clamp(min=1e-12)).reshape(*words.shape[:-1], *grid)
    wanted = shown.reshape(*shown.shape[:-1], *grid)
    off = sum(_off(shares.amax(axis), wanted.amax(axis)).mean(-1) for axis in (-1, -2))
    found: Tensor = (off * strengths).mean()
    return found


def _off(held: Tensor, wanted: Tensor) -> Tensor:
    missing = (wanted - held / HELD).clamp(min=0)
    spilt = (held - wanted - (1 - wanted) * SPILT).clamp(min=0)
    return missing.square() + spilt.square()
