"""A command line that knows what was meant: argparse, with the nearest word for one that is misspelt."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from sfumato_plugins.errors import nearest


class Parser(argparse.ArgumentParser):
    """Also what is missing or wrong is said by the command it is about: its sub-commands are of this class too."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but what is unknown ends here, where the options that could have been meant are known."""
        if args is not None and self._subparsers is None:
            for word in _options(args):
                if not any(known.startswith(word) for known in self._option_string_actions):  # argparse takes a start
                    self._unknown("option", word, self._option_string_actions)
        found, left = super().parse_known_args(args, namespace)
        if left and left[0].startswith("-"):
            self._unknown("option", left[0], self._option_string_actions)
        elif left:
            self._leave(f"{left[0]} is one argument too many", f"see: {self.prog} --help")
        return found, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self._unknown("command", value, action.choices)
        words = [str(choice) for choice in action.choices]
        what = f"{value!r} is not one of {', '.join(words)}"
        raise argparse.ArgumentError(action, f"{what}; {hint}" if (hint := nearest(str(value), words, "")) else what)

    def _unknown(self, what: str, word: str, known: Any) -> NoReturn:
        self._leave(f"there is no {what} {word}", nearest(word, known, f"see: {self.prog} --help"))

    def _leave(self, what: str, hint: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {what}\n  {hint}\n")


def _options(args: Sequence[str]) -> Iterator[str]:
    """The words that argparse takes for long options, without their values."""
    for word in args:
        if word == "--":
            return
        if word.startswith("--") and " " not in word:
            yield word.partition("=")[0]
