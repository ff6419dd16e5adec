"""Detections over time: tracks, and the identity of each."""
