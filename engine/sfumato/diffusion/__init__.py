"""Diffusion models walked exactly: schedules, solvers, the lattice that makes a trip bit-equal, and its record."""
