"""Files to tensors and back for the matte tool. Needs the engine, inside functions only."""
