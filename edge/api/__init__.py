"""edge/api."""
