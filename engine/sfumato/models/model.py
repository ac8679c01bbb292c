"""A diffusion model as the tools see it: its three protocols, and what is known of it."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from sfumato.diffusion.protocols import Codec, Denoiser, Embedder, Prediction
from sfumato.diffusion.schedule import Grid, Kind, Table, flow_grid, log_grid


class Reader(Embedder, Protocol):
    """An embedder that can say which token stands in which slot of the contexts it makes."""

    def tokens(self, prompt: str) -> list[tuple[str, int, int]]:
        """See `Model.tokens`."""
        ...

    def cut(self, prompt: str) -> str:
        """See `Model.cut`."""
        ...

    def unknown(self, prompt: str) -> list[str]:
        """See `Model.unknown`."""
        ...


@dataclass(frozen=True)
class Levels:
    """The noise a network was trained on, and what it answers.

    prediction: Of the network.
    table: Its training times on a VP schedule; None for flow matching.
    shift: Of a flow schedule, how much more of the steps lie near the noise (Esser et al. 2024); 1 is even.
    """

    prediction: Prediction
    table: Table | None = None
    shift: float = 1.0

    @property
    def kind(self) -> Kind:
        return "vp" if self.table else "flow"

    def grid(self, steps: int) -> Grid:
        """VP: even steps in log(sigma / alpha), where BDIA's latents are best; flow: even steps, shifted."""
        return log_grid(self.table, steps) if self.table else flow_grid(steps, self.shift)


@dataclass(frozen=True, eq=False)
class Model:
    """A model, loaded, at rest: no dropout, nothing sampled, the same input gives the same bits.

    name: "demo" for the embedded one, else the folder's name.
    licence: As its folder says; "unknown" if it does not.
    digest: `weights_digest` of all its networks as they are on disk, whatever dtype they were loaded in.
    denoiser, codec, embedder: See `sfumato.diffusion.protocols`.
    levels: Its noise.
    size: Its native picture, height and width in pixels.
    multiple: Sides of a picture must be multiples of this many pixels.
    network: The denoising network itself, for those who look into its attention.
    frames: Of its clips, whose latents are (B, C, frames, h, w); 1 where it makes pictures.
    """

    name: str
    licence: str
    digest: str
    denoiser: Denoiser
    codec: Codec
    embedder: Reader
    levels: Levels
    size: tuple[int, int]
    multiple: int
    network: nn.Module
    frames: int = 1

    @property
    def kind(self) -> Kind:
        """Of its schedule."""
        return self.levels.kind

    def grid(self, steps: int) -> Grid:
        """Its own schedule's best grid for inversion, `steps` steps."""
        return self.levels.grid(steps)

    def tokens(self, prompt: str) -> list[tuple[str, int, int]]:
        """Text, start and end in the prompt of the token in each slot of a context; ("", 0, 0) where there is none."""
        return self.embedder.tokens(prompt)

    def cut(self, prompt: str) -> str:
        """The words at a prompt's end for which the model has no slots: it never reads them. "" if it reads all."""
        return self.embedder.cut(prompt)

    def unknown(self, prompt: str) -> list[str]:
        """The words of a prompt that are one and the same to the model, because it learnt none of them.

        Models that spell what they do not know have none; the embedded one knows a few dozen words.
        """
        return self.embedder.unknown(prompt)
