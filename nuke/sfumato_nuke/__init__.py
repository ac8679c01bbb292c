"""sfumato inside Nuke: a Group drawn from a tool's declaration, its inputs and results, and the engine's progress."""
