"""Training code; no part of the installed package."""
