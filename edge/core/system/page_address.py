"""Where the owner's page is found."""

from __future__ import annotations

import socket

from edge.core.settings.schema import Settings

ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared


def is_served(settings: Settings) -> bool:
    return settings.api.enabled and settings.page.enabled


def local_address(settings: Settings, port: int | None = None) -> str:
    """The page for browsers of this machine; empty where none is served. ``port``: where another one is in use."""
    host = "127.0.0.1" if settings.api.host in ANY else settings.api.host
    return _url(host, port or settings.api.port) if is_served(settings) else ""


def network_address(settings: Settings, port: int | None = None) -> str:
    """The page for browsers on the network; empty where none is served to them."""
    host = settings.api.host
    if not is_served(settings) or host.startswith("127.") or host in ("::1", "localhost"):
        return ""
    if host in ANY:
        host = settings.page.hosts[0] if settings.page.hosts else f"{socket.gethostname().partition('.')[0]}.local"
    return _url(host, port or settings.api.port)


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
