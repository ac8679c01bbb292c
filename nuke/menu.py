"""Run by Nuke with a window: adds the sfumato menu. If that fails, a message says why and Nuke starts all the same."""

try:
    import sfumato_nuke.menu

    sfumato_nuke.menu.install()
except Exception as _error:
    import nuke

    nuke.message(f"sfumato: its menu could not be added: {type(_error).__name__}: {_error}")
