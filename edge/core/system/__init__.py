"""edge/core/system."""
