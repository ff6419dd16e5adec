"""Collections: SQLite is the truth, Annoy its disposable picture."""
