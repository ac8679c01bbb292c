"""Lets Nuke, with or without a window, import sfumato's tool declarations. Put this folder on NUKE_PATH."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "plugins"))
