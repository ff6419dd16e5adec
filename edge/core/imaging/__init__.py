"""edge/core/imaging."""
