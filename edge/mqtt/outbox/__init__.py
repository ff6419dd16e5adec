"""Durable queue: events are stored on disk until they are delivered."""
