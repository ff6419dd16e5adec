"""edge/pipeline."""
