"""What is asked of a placement."""

from dataclasses import dataclass

from sfumato.errors import RequestError
from sfumato.place.staging import Staging


@dataclass(frozen=True)
class Request:
    """What is to be rendered.

    staging: Prompts, boxes, depths and strengths.
    first, last: Frames, both too; the staging's unless given.
    method: See `sfumato.place.methods`.
    strength: One knob for all objects, 0..1; 0 places nothing.
    steps: Of denoising.
    seed: Of the noise.
    guidance: Weight of the prompt.
    size: Height and width in pixels; the model's own unless given.

    Raises:
        RequestError: a number out of its range.
    """

    staging: Staging
    first: int | None = None
    last: int | None = None
    method: str = "precise"
    strength: float = 0.7
    steps: int = 40
    seed: int = 0
    guidance: float = 3.0
    size: tuple[int, int] | None = None

    @property
    def span(self) -> tuple[int, int]:
        """First and last frame."""
        staging = self.staging
        return (staging.start if self.first is None else self.first, staging.last if self.last is None else self.last)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise RequestError(f"strength is {self.strength:g}", "give a number from 0 to 1")
        if self.steps < 2:
            raise RequestError(f"{self.steps} steps", "two are the least, 40 are usual")
