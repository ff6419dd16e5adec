"""Creates the source that ``camera.source`` names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge.core import plugins as registry
from edge.core.credentials import masked_address
from edge.core.errors import SettingsError
from edge.core.settings.address import SecretAddress
from edge.sources.base import FrameSource

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings

_ADDRESSES = {"rtsp://": "rtsp", "rtsps://": "rtsp", "http://": "http", "https://": "http"}
"""sources that are named by the address itself"""


_CUSTOM = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)")
"""``module:attribute`` of a source of one's own"""
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s/:@\[\]]+)(?::(?P<port>[^/?#]*))?(?:[/?#]|$)")
_MISWRITTEN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"""[<"'].*[>"']$"""), "write the address without quotes and brackets around it"),
    (re.compile(r"rtsp[tu]://", re.I), "write rtsp://, and set the camera's transport to 'tcp' or 'udp'"),
    (re.compile(r"(rtsp|http)s?:?/+[^/]", re.I), "write the address with '://', as in rtsp://192.0.2.3/live"),
    (re.compile(r"(rtsp|http)s?:[^/]", re.I), "write the address with '://', as in rtsp://192.0.2.3/live"),
    (re.compile(r"(/dev/)?video\d+$|(usb:)?\d$", re.I), "write v4l2:/dev/video0 for a USB camera, or auto"),
    (re.compile(r"file:|[A-Za-z]:[\\/]|\\\\|[/~.]"), "write video:PATH for a file, and images:FOLDER for pictures"),
    (re.compile(r"(smb|nfs|ftp)://", re.I), "mount the share, and write video:PATH for a file on it"),
    (re.compile(r"(\S+@)?[\w-]+(\.[\w-]+)+(:\d+)?(/|$)"), "write rtsp:// or http:// before the host"),
    (re.compile(r"[a-z0-9+.-]+:(.*//)?", re.I),
     "give the camera's rtsp:// or http:// address; go2rtc and MediaMTX turn other kinds into RTSP"),
)  # fmt: skip
"""how people write a source that is none, and what they should write; the first that fits counts"""


def open_source(camera: CameraSettings) -> FrameSource:
    """The source that ``camera.source`` names, not yet opened. Raises SettingsError."""
    name, target = split(camera.source.get_secret_value())
    source: FrameSource = registry.load(_kind(camera), registry.SOURCES, name)(camera, target)
    return source


def check(camera: CameraSettings) -> None:
    """Raises SettingsError where ``camera.source`` names no known kind of source; nothing is imported or opened."""
    name, target = split(camera.source.get_secret_value())
    registry.where(_kind(camera), registry.SOURCES, name)
    if name in _ADDRESSES.values():
        _check_host(SecretAddress(target))


def split(source: str) -> tuple[str, str]:
    """(name for the registry, target): ``video:a.mp4``, ``rtsp://...``, ``your.module:Source:target``.

    Raises SettingsError for an address of an unknown kind.
    """
    for prefix, name in _ADDRESSES.items():
        if source.lower().startswith(prefix):
            return name, source
    name, _, target = source.partition(":")
    if name in registry.SOURCES and name not in _ADDRESSES.values():
        return name, target
    if (own := _CUSTOM.match(source)) is not None and source[own.end() :][:1] in (":", "") and "//" not in source:
        return own[0], source[own.end() + 1 :]
    known = [*_ADDRESSES, *(f"{one}:" for one in registry.SOURCES if one not in _ADDRESSES.values())]
    hint = next((hint for pattern, hint in _MISWRITTEN if pattern.match(source)), "use one of them")
    raise SettingsError(
        f"source {masked_address(source)!r}: expected one that begins with {', '.join(known)} or module:attribute", hint
    )


def _check_host(address: SecretAddress) -> None:
    """Raises SettingsError for an address without a host, or with a port that is none."""
    found = _HOST.match(address.parts.rest)
    if found is None:
        raise SettingsError(f"source {address}: expected a host after '://'", "write it as rtsp://192.0.2.3:554/live")
    port = found["port"]
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise SettingsError(
            f"source {address}: expected a port from 1 to 65535, got {port[:20]!r}",
            "correct it; write @ as %40 and : as %3A in a user name or password",
        )


def _kind(camera: CameraSettings) -> str:
    return f"source of camera {camera.name!r}"
