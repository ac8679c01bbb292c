"""Errors a person outside this code can fix, with the exit code a farm reads; nobody sees a traceback for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a job.

    where: The field of the job file, dotted: "inputs.trimap", "params.quality".
    what: What happened, in a sentence.
    hint: What to do about it.
    code: 2 the request is wrong, 3 an input is missing or unreadable.
    """

    where: str
    what: str
    hint: str = ""
    code: int = 2

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        lines += [f"  {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)


class JobError(Exception):
    """The job cannot be done as asked. `exit_code` is 2 when the request is wrong, 3 when only its inputs are."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        self.exit_code = 2 if any(p.code == 2 for p in self.problems) else max(p.code for p in self.problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def wrong(where: str, what: str, hint: str = "") -> JobError:
    """A request that has to be changed (exit 2)."""
    return JobError(Problem(where, what, hint))


def nearest(word: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """A hint naming the closest known word, for a misspelt one; where none is close, `otherwise`, or all of them."""
    import difflib

    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if otherwise is None else otherwise
