"""edge/api/http."""
