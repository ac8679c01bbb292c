"""Files to tensors and back for the tools that edit by a diffusion model. Needs the engine, inside functions only."""
