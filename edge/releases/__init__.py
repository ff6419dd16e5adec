"""Releases on the device: fetched, verified and stored. ``edge.releases.updater`` is the workflow."""
