"""edge/inference/onboarding."""
