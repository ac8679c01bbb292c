"""Diffusion models behind our protocols: diffusers folders, and the small embedded one."""
