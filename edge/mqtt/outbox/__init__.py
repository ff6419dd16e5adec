"""The hand-off that may not drop: events wait here, on disk, until they are delivered."""

from edge.mqtt.outbox.outbox import Outbox, OutboxStats

__all__ = ["Outbox", "OutboxStats"]
