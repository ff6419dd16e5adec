"""Collections: stored in SQLite, searched exactly or with an Annoy index that can be rebuilt."""
