"""Detections over time: whose track each is, and whose face it shows."""
