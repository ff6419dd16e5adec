"""edge/recognition."""
