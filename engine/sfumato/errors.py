"""Errors by the person who can fix them. Each sentence says what happened, where, and what to do."""


class SfumatoError(Exception):
    """Anything a person outside this code can fix. `exit_code` is what a command line returns for it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  so          {self.hint}" if self.hint else self.message


class RequestError(SfumatoError):
    """The request is wrong: usage, a parameter, a mask of another size. For the artist."""

    exit_code = 2


class InputError(SfumatoError):
    """An input is missing, unreadable, deep or holds no finite pixel. For whoever delivers the files."""

    exit_code = 3


class MemoryLimitError(SfumatoError):
    """Memory ran out after every smaller way was tried. For the wrangler."""

    exit_code = 4


class Cancelled(SfumatoError):  # noqa: N818  (not an error of anybody)
    """Somebody asked to stop. Nothing is wrong; running again goes on from here."""

    exit_code = 130


class ShapeError(ValueError):
    """A tensor does not have the axes a function asked for. For the programmer."""
