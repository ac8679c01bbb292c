"""Mattes: plate and trimap to alpha, foreground and background."""
