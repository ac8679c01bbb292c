"""Run by Nuke with or without a window, on farms too: makes sfumato importable, says nothing, cannot fail."""

try:
    import os
    import sys

    _plugins = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "plugins")
    if _plugins not in sys.path:
        sys.path.append(_plugins)
except Exception:  # a render must go on, whatever the environment
    pass
