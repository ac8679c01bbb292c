"""Ways to train: bit-exact reversible stacks of blocks, and the HSIC bottleneck."""
