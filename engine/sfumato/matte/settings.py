"""How a matte is solved: one frozen value, three presets."""

from dataclasses import dataclass, field, replace

from sfumato.errors import RequestError
from sfumato.matte.classical import ClassicalSettings

QUALITIES = ("preview", "standard", "final")


@dataclass(frozen=True)
class MatteSettings:
    """Everything that decides a matte besides its inputs and its seed."""

    quality: str = "standard"  # the preset this began as
    classical: ClassicalSettings = field(default_factory=ClassicalSettings)


def preset(quality: str) -> MatteSettings:
    """The settings of a preset: "preview" (classical, seconds), "standard" or "final".

    Raises:
        RequestError: there is no such preset.
    """
    if quality not in QUALITIES:
        raise RequestError(f"there is no quality {quality!r}", f"choose one of {', '.join(QUALITIES)}")
    base = MatteSettings(quality=quality)
    return replace(base)
