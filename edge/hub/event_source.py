"""Sources of events beside MQTT: topics of a streaming engine that a broker bridges into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edge.core.errors import SettingsError
from edge.core.settings.messaging import HubSettings
from edge.mqtt.subscriptions import Delivered, Sink


class EventSource(Protocol):
    """Passes events to a sink; the engine keeps each of them until it is acknowledged."""

    name: str
    """address without credentials, for the log"""

    def start(self) -> None:
        """Start. Does not raise or block: the engine may be unreachable."""

    def stop(self) -> None:
        """Stop. Events that are not acknowledged stay at the engine."""

    def acknowledge(self, delivered: Sequence[Delivered]) -> None:
        """Acknowledge stored events; ignores messages of other origins. Thread-safe."""


def of_settings(hub: HubSettings, sink: Sink, ready: Callable[[], bool]) -> EventSource | None:
    """The source that ``hub.stream`` names; None: events arrive over MQTT.

    ``sink`` is called on a thread of the source and must not block. While ``ready`` returns False, nothing is fetched.
    Raises SettingsError where its client library is not installed.
    """
    if not hub.stream:
        return None
    try:
        from edge.hub.jetstream import JetStreamSource
    except ImportError as error:
        raise SettingsError(
            "hub.stream: nats:// needs nats-py, which is not installed", "pip install 'rekognition-edge[nats]'"
        ) from error
    return JetStreamSource(hub.stream, hub.group or "edge-hub", sink, ready)
