"""The methods of placement by name."""

from collections.abc import Callable, Mapping

from sfumato.errors import RequestError
from sfumato.place.directed_diffusion import DirectedDiffusion
from sfumato.place.directed_diffusion_online import DirectedDiffusionOnline
from sfumato.place.director import Director, Plain, Scene
from sfumato.place.peers_attention import DirectAVideo, FreeTraj, Peekaboo
from sfumato.place.peers_gradient import BoxDiff, LayoutGuidance
from sfumato.place.precise import Fast, Precise
from sfumato.place.trailblazer_steer import TrailBlazer, TrailBlazerCoded

METHODS: Mapping[str, Callable[[Scene], Director]] = {
    "none": lambda scene: Plain(),
    "fast": Fast,
    "precise": Precise,
    "directed-diffusion": DirectedDiffusion,
    "directed-diffusion-v3": DirectedDiffusionOnline,
    "trailblazer": TrailBlazer,
    "trailblazer-coded": TrailBlazerCoded,
    "layout-guidance": LayoutGuidance,
    "boxdiff": BoxDiff,
    "direct-a-video": DirectAVideo,
    "peekaboo": Peekaboo,
    "freetraj": FreeTraj,
}


def begin(method: str, scene: Scene) -> Director:
    """A method at work on a scene.

    Raises:
        RequestError: no such method.
    """
    if method not in METHODS:
        raise RequestError(f"no method of placement is called {method}", f"choose {', '.join(METHODS)}")
    return METHODS[method](scene)
