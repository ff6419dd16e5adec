"""Creates the source that ``camera.source`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.core import plugins as registry
from edge.core.credentials import mask_credentials
from edge.core.errors import SettingsError
from edge.sources.base import FrameSource

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings

_ADDRESSES = {"rtsp://": "rtsp", "rtsps://": "rtsp", "http://": "http", "https://": "http"}
"""sources that are named by the address itself"""


def open_source(camera: CameraSettings) -> FrameSource:
    """The source that ``camera.source`` names, not yet opened. Raises SettingsError."""
    name, target = split(camera.source.get_secret_value())
    source: FrameSource = registry.load(_kind(camera), registry.SOURCES, name)(camera, target)
    return source


def check(camera: CameraSettings) -> None:
    """Raises SettingsError where ``camera.source`` names no known kind of source; nothing is imported or opened."""
    registry.where(_kind(camera), registry.SOURCES, split(camera.source.get_secret_value())[0])


def split(source: str) -> tuple[str, str]:
    """(name for the registry, target): ``video:a.mp4``, ``rtsp://...``, ``your.module:Source:target``.

    Raises SettingsError for an address of an unknown kind.
    """
    for prefix, name in _ADDRESSES.items():
        if source.lower().startswith(prefix):
            return name, source
    name, _, target = source.partition(":")
    if name in registry.SOURCES:
        return name, target
    if "://" in source:
        known = ", ".join(_ADDRESSES)
        raise SettingsError(
            f"source {mask_credentials(source)!r}: the known kinds of address are {known}", "use one of them"
        )
    attribute, _, rest = target.partition(":")
    return (f"{name}:{attribute}" if target else name), rest


def _kind(camera: CameraSettings) -> str:
    return f"source of camera {camera.name!r}"
