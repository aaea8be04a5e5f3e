"""Lines from files: checked, trusted or not, run, gone on with, and written."""
