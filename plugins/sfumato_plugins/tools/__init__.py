"""One file for each thing an artist can run."""
