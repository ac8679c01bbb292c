"""A solve laid out for review: numbers of every frame, what to look at first, pictures, curves. Needs the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.facing import tables
from sfumato_plugins.facing.folder import edits_of
from sfumato_plugins.facing.page import GROUPS, Review, Shown, write_page
from sfumato_plugins.facing.page_curves import Drawn
from sfumato_plugins.facing.pictures import CLIP, PANEL, Stage, evenly, jpeg
from sfumato_plugins.facing.reference import Reference
from sfumato_plugins.facing.solution import Solution, load_solution

if TYPE_CHECKING:
    from torch import Tensor

MOST_CLIP, MOST_SHOWN = 30, 4
_GROUP_WORDS = (
    ("jaw", ("jaw",)),
    ("mouth", ("mouth", "lip", "tongue")),
    ("cheek and nose", ("cheek", "nose", "sneer")),
    ("eyes", ("eye", "lid", "look", "blink", "pupil")),
    ("brows", ("brow", "forehead")),
)


def make_page(
    folder: str,
    page: str,
    report: Callable[[Any], None],
    say: Callable[[str], None],
    *,
    reference: str = "",
    previous: str = "",
) -> list[tuple[float, str]]:
    """Write the page of a solve.

    Args:
        reference: A sequence of pictures numbered as the timeline; default: the one the job names.
        previous: The folder of an earlier version; default: the one the job names.

    Returns:
        The frames to look at first, with the reason.

    Raises:
        JobError: nothing is solved there (exit 3), or no curves yet (exit 2).
    """
    solution = load_solution(folder)
    pictures = Reference(reference or solution.input("reference"), solution.colour("reference"))
    before = previous or os.path.dirname(solution.input("previous"))
    review = _Layout(solution, pictures, load_solution(before) if before else None, report).review()
    os.makedirs(os.path.dirname(page) or ".", exist_ok=True)
    write_page(page, review)
    missing = pictures.missing([shown.frame for shown in review.shown])
    if missing:
        say(f"face: the reference has no picture for frame {', '.join(f'{frame:g}' for frame in missing)}")
    return review.first


class _Layout:
    """Rows, clip, pictures and curves of one solve."""

    def __init__(
        self,
        solution: Solution,
        reference: Reference,
        before: Solution | None,
        report: Callable[[Any], None],
    ) -> None:
        self.solution, self.reference, self.before, self.report = solution, reference, before, report
        self.stage = Stage(solution.rig, solution.resting)

    def review(self) -> Review:
        rows = tables.rows(self.solution)
        first = self.solution.first[:MOST_SHOWN]
        shown = [self._shown(frame, why) for frame, why in first]
        clip_frames, clip, rate = self._clip()
        return Review(
            title=self.solution.title,
            facts=tables.facts(self.solution),
            rows=rows,
            first=first,
            shown=shown,
            clip_frames=clip_frames,
            clip=clip,
            rate=rate,
            curves=self._curves(),
            frames=self.solution.frames,
            ambiguity=self.solution.ambiguity,
            markers=tables.marker_rows(self.solution),
            compared=self.before.title if self.before else "",
        )

    def _row(self, frame: float) -> int:
        frames = self.solution.frames
        return min(range(len(frames)), key=lambda at: abs(frames[at] - frame))

    def _shown(self, frame: float, why: str) -> Shown:
        from sfumato.report import Step

        at = self._row(frame)
        one, stage = self.solution, self.stage
        values = one.values[at]
        before = self._before(frame)
        self.report(Step("review pictures", at, len(one.frames)))
        reference = self.reference.at(frame, PANEL)
        return Shown(
            frame=frame,
            reason=why,
            strip=jpeg(stage.strip(values, one.tracked[at], one.bound(at), one.seen[at])),
            residual=jpeg(stage.residual(values, one.bound(at), one.residual[at])),
            front=jpeg(stage.face(values)),
            previous=None if before is None else jpeg(stage.face(before)),
            reference=None if reference is None else jpeg(reference),
            notes=one.notes_of(at),
        )

    def _before(self, frame: float) -> Tensor | None:
        """The controls of the earlier version at a frame, those of this rig; None where it has no such frame."""
        if self.before is None:
            return None
        frames = self.before.frames
        at = min(range(len(frames)), key=lambda place: abs(frames[place] - frame))
        if abs(frames[at] - frame) > 0.5:
            return None
        return self.before.curves.only(self.solution.curves.names).values[at]

    def _clip(self) -> tuple[list[float], dict[str, list[bytes]], float]:
        """Small pictures of some frames: the face, markers over it, the residual, the reference."""
        from sfumato.report import Step

        one, stage = self.solution, self.stage
        chosen = evenly(len(one.frames), MOST_CLIP)
        clip: dict[str, list[bytes]] = {"face": [], "markers": [], "residual": []}
        if self.reference.given:
            clip["reference"] = []
        for step, at in enumerate(chosen, 1):
            pictures = stage.small(one.values[at], one.tracked[at], one.bound(at), one.seen[at], one.residual[at])
            for mode, picture in pictures.items():
                clip[mode].append(jpeg(picture, 80))
            if self.reference.given:
                clip["reference"].append(jpeg(self.reference.beside(one.frames[at], CLIP), 80))
            self.report(Step("review clip", step, len(chosen)))
        between = one.frames[chosen[1]] - one.frames[chosen[0]] if len(chosen) > 1 else 1.0
        return [one.frames[at] for at in chosen], clip, max(one.curves.fps / between, 1.0)

    def _curves(self) -> Mapping[str, Sequence[Drawn]]:
        one = self.solution
        fixed = edits_of(one.folder)
        found: dict[str, list[Drawn]] = {group: [] for group in GROUPS}
        for column, name in enumerate(one.curves.names):
            before = self.before
            past = None
            if before is not None and name in before.curves.names:
                past = (before.frames, before.curves.of(name).tolist())
            keys = [(edit.frame, edit.value, edit.locked) for edit in fixed if edit.control == name]
            limits = (float(one.rig.lower[column]), float(one.rig.upper[column]))
            drawn = Drawn(name, one.values[:, column].tolist(), limits, past, keys, one.note_of(name))
            found[group_of(name)].append(drawn)
        return found


def group_of(control: str) -> str:
    """The part of the face that a control is of, by its name.

    >>> group_of("browInnerUp"), group_of("jawOpen"), group_of("skirt")
    ('brows', 'jaw', 'other')
    """
    name = control.lower()
    return next((group for group, words in _GROUP_WORDS if any(word in name for word in words)), "other")
