"""A picture made again from what is inside it."""
