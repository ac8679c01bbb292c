"""Objects where their boxes are: what `place` and `trail` share. Standard library only at import time."""
