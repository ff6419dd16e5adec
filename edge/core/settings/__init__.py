"""Every setting, its default, its unit and its range. ``config/edge.toml`` is written from this package."""
