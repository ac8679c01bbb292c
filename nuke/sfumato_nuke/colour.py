"""Which colour config and which working space this script has: three places can say it, and one of them wins."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import nuke

from sfumato_plugins.errors import wrong

BUILT_IN = "studio-config-v2.2.0_aces-v1.3_ocio-v2.4"
LINEAR = "lin_rec709_scene"
"""What Nuke's own colour management (without OCIO) calls linear, as OCIO names it."""


@dataclass(frozen=True)
class Working:
    """config: path or name for the job. space: of every picture inside Nuke. names: all that a Read may call it.
    told: a sentence on where the config came from."""

    config: str
    space: str
    names: tuple[str, ...]
    told: str


def working() -> Working:
    """The script's colour.

    Raises:
        JobError: it uses a config that cannot be found.
    """
    root = nuke.root()
    if root["colorManagement"].value() != "OCIO":
        told = f"Nuke's own colour management: {LINEAR} of {BUILT_IN}"
        return Working(BUILT_IN, LINEAR, ("linear", LINEAR), told)
    space = plain(root["workingSpaceLUT"].value())
    path, told = _config(str(root["OCIO_config"].value()), str(root["customOCIOConfigPath"].value() or ""))
    return Working(path, space, (space, "scene_linear"), f"{space} of {path}, {told}")


def _config(named: str, custom: str) -> tuple[str, str]:
    """$OCIO, then the project's own path, then a config that came with Nuke."""
    if os.environ.get("OCIO"):
        return os.environ["OCIO"], "named by $OCIO"
    if named == "custom":
        if not os.path.isfile(custom):
            raise wrong(
                "color.config", f"the project's OCIO config is not there: {custom}", "see Project Settings > Color"
            )
        return custom, "named in the project's settings"
    folder = os.path.join(os.path.dirname(nuke.EXE_PATH), "plugins", "OCIOConfigs", "configs")
    for path in (os.path.join(folder, named, "config.ocio"), os.path.join(folder, f"{named}.ocio")):
        if os.path.isfile(path):
            return path.replace("\\", "/"), "which came with Nuke"
    hint = "set $OCIO before Nuke starts, or choose custom in Project Settings > Color"
    raise wrong("color.config", f"the file of Nuke's OCIO config {named} was not found in {folder}", hint)


def plain(name: str) -> str:
    """ACEScg of "default (ACEScg)" and "scene_linear (ACEScg)"."""
    match = re.fullmatch(r"(?:default|[a-z_]+) \((.+)\)", str(name))
    return match[1] if match else str(name)
