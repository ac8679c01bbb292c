"""The face tool's commands: from markers and a rig to curves, in stages that an artist can correct."""
