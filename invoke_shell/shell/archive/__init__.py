"""What is remembered: sessions.db, pictures, pixels of sources, typed lines."""
