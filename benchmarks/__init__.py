"""Measured claims: each script prints its table, both sides in one run, with the machine's name."""
