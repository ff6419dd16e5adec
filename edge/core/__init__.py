"""edge/core."""
