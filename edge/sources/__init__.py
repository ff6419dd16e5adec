"""Where frames come from. ``open`` gives the source a camera's settings name, ``reconnecting`` keeps it alive."""

from edge.sources.base import CameraState, Source, masked
from edge.sources.factory import open  # noqa: A004
from edge.sources.reconnect import reconnecting

__all__ = ["CameraState", "Source", "masked", "open", "reconnecting"]
