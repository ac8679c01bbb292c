"""How the embedded model came to be: the pictures it was shown, the words for them, and its training."""
