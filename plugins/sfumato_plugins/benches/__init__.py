"""Measurements against peers, one file each."""
