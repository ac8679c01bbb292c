"""A solve as it lies in its folder, read back for whoever looks at it. Needs the engine."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sfumato_plugins.errors import wrong
from sfumato_plugins.facing.folder import job_of, solve_of
from sfumato_plugins.job import Job

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.color import Config
    from sfumato.face.binding import Binding
    from sfumato.face.curves import Curves
    from sfumato.face.markers import Markers
    from sfumato.face.rig import Rig


def load_solution(folder: str) -> Solution:
    """Read a folder back.

    Raises:
        JobError: nothing is solved there (exit 3), or no curves yet (exit 2).
        sfumato.errors.SfumatoError: a file in it, or the rig, cannot be read.
    """
    from sfumato_plugins.facing.binding_file import load_binding
    from sfumato_plugins.facing.inputs import rig_of

    folder = os.path.abspath(folder)
    said = solve_of(folder)
    if not said.get("controls"):
        hint = "solve it with --stage jaw or later first"
        raise wrong("", f"no curves are solved in {folder} yet, only {said.get('stage')}", hint)
    return Solution.read(folder, rig_of(job_of(folder)), load_binding(os.path.join(folder, "binding.json")), said)


@dataclass
class Solution:
    """What a page shows of a solve.

    clean: Markers with the head still, gaps filled. raw: The same before that, for what was seen.
    """

    folder: str
    said: Mapping[str, Any]
    job: Job
    rig: Rig
    binding: Binding
    curves: Curves
    clean: Markers
    raw: Markers
    _kept: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str, rig: Rig, binding: Binding, said: Mapping[str, Any]) -> Solution:
        """The solve in a folder, of a rig that is read already; `said` is its solve.json."""
        from sfumato.face.curves import load_curves
        from sfumato.face.stage_takes import load_take

        curves = load_curves(os.path.join(folder, "curves.json")).only(rig.controls)
        at = pathlib.Path(folder)
        clean, raw = (load_take(at, stage).only(binding.names, unseen=True) for stage in ("clean", "stabilise"))
        one = cls(folder, said, job_of(folder), rig, binding, curves, clean, raw)
        one._kept = one._tensors()
        return one

    def _tensors(self) -> dict[str, Tensor]:
        """What the last stage says of itself: residual, weight, rigid, offsets; nothing where it is not there."""
        from safetensors.torch import load_file

        path = os.path.join(self.folder, "finetune.safetensors")
        return load_file(path) if self.said.get("stage") == "finetune" and os.path.isfile(path) else {}

    @property
    def title(self) -> str:
        """Shot and version, or the folder's name."""
        names = self.job.names
        said = "  ".join(filter(None, (names.get("shot", ""), names.get("version", ""))))
        return said or os.path.basename(self.folder)

    def input(self, name: str) -> str:
        """A file that the job names; empty where it names none."""
        pattern = self.job.input(name)
        return pattern.text if pattern else ""

    def colour(self, name: str) -> tuple[Config, str | None]:
        """The job's colour configuration, and the space it names for an input."""
        from sfumato_plugins.colour import config_of

        return config_of(self.job), self.job.color.get(name)

    @property
    def frames(self) -> list[float]:
        """Of the timeline, one for each sample."""
        return list(self.curves.frames)

    @property
    def values(self) -> Tensor:
        """(F, K) float64."""
        return self.curves.values

    @property
    def tracked(self) -> Tensor:
        """Where each marker is, the head still, (F, M, 3) centimetres; NaN where nothing is known."""
        return self._still(self.clean.positions)

    @property
    def seen(self) -> Tensor:
        """(F, M) bool: the tracker saw it."""
        return self.raw.seen

    def _still(self, positions: Tensor) -> Tensor:
        """Positions without the drift that the solve found in them."""
        if self.rigid is None:
            return positions
        from sfumato.face.clip import without_drift

        return without_drift(positions, self.rigid)

    @property
    def rigid(self) -> Tensor | None:
        """(F, 6) drift, as `sfumato.face.clip.Solved` has it; None before the last stage."""
        return self._kept.get("rigid")

    @property
    def offsets(self) -> Tensor | None:
        """(M, 3) centimetres that markers sit elsewhere; None before the last stage."""
        return self._kept.get("offsets")

    @property
    def resting(self) -> Tensor:
        """Where the markers sit on the neutral face, (M, 3)."""
        return self.binding.at(self.rig, self.values[0] * 0)

    def bound(self, at: int) -> Tensor:
        """Where the rig puts each marker at a sample, the day's offsets included, (M, 3)."""
        return self._bound[at]

    @cached_property
    def _bound(self) -> Tensor:
        found = self.binding.at(self.rig, self.values)
        return found if self.offsets is None else found + self.offsets

    @property
    def believed(self) -> Tensor:
        """(F, M) 0..1, how much the solve believed each sample."""
        return self._kept.get("weight", self.seen.double())

    @cached_property
    def residual(self) -> Tensor:
        """(F, M) centimetres between marker and rig; NaN where the tracker did not see it."""
        apart: Tensor = (self.tracked - self._bound).norm(dim=-1)
        apart[~self.seen] = float("nan")
        return apart

    @property
    def first(self) -> list[tuple[float, str]]:
        """The frames to look at first, with the reason."""
        return [(float(frame), str(why)) for frame, why in self.said["first"]]

    @property
    def ambiguity(self) -> list[str]:
        """Sentences on what the markers cannot tell, over the whole take."""
        return [str(line) for line in self.said.get("ambiguity", ())]

    def notes_of(self, at: int) -> list[str]:
        """Sentences on one sample."""
        frame = f"{self.frames[at]:g}"
        told = {"saturated": "at a limit", "ambiguous": "not told by the markers that are seen here"}
        return [
            f"{', '.join(names)}: {why}" for key, why in told.items() if (names := self.said.get(key, {}).get(frame))
        ]

    def note_of(self, control: str) -> str:
        """A few words on one control."""
        return str(self.said.get("controls_notes", {}).get(control, ""))
