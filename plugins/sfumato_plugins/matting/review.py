"""The page of a finished shot. To be drawn."""
