"""``edge setup``: what it asks, and the settings file that comes of the answers."""
