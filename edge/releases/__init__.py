"""Releases on the device: fetched, verified, kept on disk. What happens to one is ``edge.releases.updater``."""
