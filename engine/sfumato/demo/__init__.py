"""Plates made on the spot, with exact ground truth."""
