"""Facial solving after FDLS: from markers to the controls of a rig, in stages an artist can correct."""
