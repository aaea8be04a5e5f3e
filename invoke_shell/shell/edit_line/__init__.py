"""The prompt and all that a key can do there."""
