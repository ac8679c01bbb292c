"""Where sfumato's folders for hosts lie: in a checkout, or under share/sfumato of an installation."""

from __future__ import annotations

import os
import sys

from sfumato_plugins.errors import wrong


def root() -> str:
    """The folder with plugins/, and nuke/ and maya/ beside it."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.basename(here) == "plugins":
        return os.path.dirname(here)
    return os.path.join(sys.prefix, "share", "sfumato")


def host_folder(host: str) -> str:
    """What to put on NUKE_PATH or MAYA_MODULE_PATH.

    Raises:
        JobError: this installation has no such folder (exit 2).
    """
    folder = os.path.join(root(), host)
    if not os.path.isdir(folder):
        raise wrong("", f"this installation has no folder for {host}", f"looked for  {folder}")
    return folder
