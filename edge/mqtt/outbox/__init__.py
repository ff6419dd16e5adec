"""Durable queue: events are kept on disk until they are delivered."""
