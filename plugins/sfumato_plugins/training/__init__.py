"""`sfumato train`: what a studio trains here, on its own pictures and takes."""
