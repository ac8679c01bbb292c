"""Which control of one rig is which of another: browDown_L, BrowDownLeft and face:browDownLeft are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

SIDE = re.compile(r"(?i:(.+?)(?:[_.-]?(left|right)|[_.-](l|r)))|(.*[a-z\d])(L|R)")
LEADING = re.compile(r"(?:(left|right)[_.-]?|(l|r)[_.-])(.+)", re.IGNORECASE)


def key(name: str) -> tuple[str, str]:
    """What a name means: a stem in lower case without separators, and a side "l", "r" or "".

    >>> key("browDown_L"), key("Rig:EyeBlinkRight"), key("jawOpen")
    (('browdown', 'l'), ('eyeblink', 'r'), ('jawopen', ''))
    """
    leaf = name.rpartition(":")[2].rpartition(".")[2]
    found, leading = SIDE.fullmatch(leaf), LEADING.fullmatch(leaf)
    if found:
        stem, side = found[1] or found[4], found[2] or found[3] or found[5]
    elif leading:
        stem, side = leading[3], leading[1] or leading[2]
    else:
        stem, side = leaf, ""
    return re.sub(r"[\W_]", "", stem).lower(), side[:1].lower()


def find(names: Sequence[str], *wanted: str) -> list[int]:
    """Where in `names` the controls are that mean one of `wanted`; "eyeBlink" means both sides."""
    keys = {key(name) for name in wanted}
    return [i for i, name in enumerate(names) if key(name) in keys or (key(name)[0], "") in keys]


def sources(target: str, names: Sequence[str]) -> list[str]:
    """Names that drive a control: its own, the one both sides share, or the two sides of one that has none.

    >>> sources("browInnerUp", ["browInnerUp_L", "browInnerUp_R"]), sources("browInnerUp_L", ["browInnerUp"])
    (['browInnerUp_L', 'browInnerUp_R'], ['browInnerUp'])
    """
    if target in names:
        return [target]
    stem, side = key(target)
    same = [name for name in names if key(name) == (stem, side)]
    if same:
        return same[:1]
    if side:
        return [name for name in names if key(name) == (stem, "")][:1]
    pair = [name for name in names if key(name) in ((stem, "l"), (stem, "r"))]
    return pair if len(pair) == 2 else []
