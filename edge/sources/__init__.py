"""Where frames come from. ``open`` gives the source a camera's settings name, ``reconnecting`` keeps it alive."""

from edge.sources.opening import open  # noqa: A004
from edge.sources.reconnect import reconnecting
from edge.sources.source import CameraState, Source, masked

__all__ = ["CameraState", "Source", "masked", "open", "reconnecting"]
