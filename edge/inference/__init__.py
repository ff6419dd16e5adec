"""Models: cards, interpreters, preprocessing, decoders, calibration and validation."""
