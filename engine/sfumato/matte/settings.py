"""How a matte is solved: one frozen value, three presets."""

from dataclasses import dataclass, field

from sfumato.errors import RequestError
from sfumato.matte.classical import ClassicalSettings

QUALITIES = ("preview", "standard", "final")


@dataclass(frozen=True)
class MatteSettings:
    """Everything that decides a matte besides its inputs and its seed."""

    quality: str = "standard"  # the preset this began as
    classical: ClassicalSettings = field(default_factory=ClassicalSettings)
    neighbours: int = 1  # frames before and after that are solved together with a frame of a shot
    prior: bool = True  # whether the deep image prior takes part
    size: int = 192  # long side of the prior's picture of the unknown band, pixels
    steps: int = 160  # of the prior's optimiser, from the start
    warm_steps: int = 40  # the same, started from a keyframe's weights
    rate: float = 3e-3  # Adam's step size
    jitter: float = 0.03  # noise added to the prior's input each step
    reconstruction: float = 1.0  # weight of the image head; 0 switches it off
    composite: float = 0.3  # weight of the compositing equation
    anchor: float = 0.3  # pull towards the classical alpha where that is sure of itself
    anchor_floor: float = 0.02  # the same where it is not
    palette: float = 0.5  # pull of the layers towards the known colours nearest to each pixel
    belief: float = 0.2  # weight of the prior's answer in the classical system it returns to, were it of full size


PRESETS = {
    "preview": MatteSettings("preview", ClassicalSettings(rounds=1, slack=1.0), neighbours=0, prior=False),
    "standard": MatteSettings("standard"),
    "final": MatteSettings("final", neighbours=2, size=224, steps=240, warm_steps=60),
}


def preset(quality: str) -> MatteSettings:
    """The settings of a preset: "preview" (classical, seconds), "standard" or "final".

    Raises:
        RequestError: there is no such preset.
    """
    if quality not in PRESETS:
        raise RequestError(f"there is no quality {quality!r}", f"choose one of {', '.join(PRESETS)}")
    return PRESETS[quality]
