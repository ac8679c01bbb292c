"""Lets Nuke, with or without a window, import sfumato's tool declarations. Put this folder on NUKE_PATH."""

try:
    import os
    import sys

    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "plugins"))
except Exception:  # a farm's environment may be partial, and its render must go on
    pass
