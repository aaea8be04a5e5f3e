"""A history of steps to the bytes of a picture and back. No torch, no terminal; see docs/metadata.md."""
