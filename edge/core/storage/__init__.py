"""edge/core/storage."""
