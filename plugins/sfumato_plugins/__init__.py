"""Tools an artist can run, the job file, the runner and the command line. Standard library only at import time."""
