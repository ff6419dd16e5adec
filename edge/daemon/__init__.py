"""edge/daemon."""
