"""Stored video: jobs that survive a restart, and their findings."""
