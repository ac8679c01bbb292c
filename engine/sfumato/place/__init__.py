"""Things where the boxes are: Directed Diffusion in stills, TrailBlazer in shots, and what works better than either."""
