"""The one fake Maya there is at a time: what its API classes work on."""

from . import strict

TABLE = strict.Table.load("maya_cmds", "maya_api", "qt")
_sessions = []


def begin(maya):
    _sessions.append(maya)


def end():
    _sessions.pop()


def maya():
    return _sessions[-1]


def scene():
    return _sessions[-1].scene


def fakes(name):
    """Class decorator: stands in for this class of maya.api."""
    return strict.fakes(TABLE, f"maya.api.{name}")
