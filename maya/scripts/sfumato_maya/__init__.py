"""sfumato in Maya: panels for its tools, curves onto a rig, markers out of a scene."""
