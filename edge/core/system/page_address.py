"""Where the owner's page is found."""

from __future__ import annotations

import socket

from edge.core.settings.schema import Settings

ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared


def is_served(settings: Settings) -> bool:
    return settings.api.enabled and settings.page.enabled


def local_address(settings: Settings) -> str:
    """The page for browsers of this machine; empty where none is served."""
    host = "127.0.0.1" if settings.api.host in ANY else settings.api.host
    return _url(host, settings.api.port) if is_served(settings) else ""


def network_address(settings: Settings) -> str:
    """The page for browsers on the network; empty where none is served to them."""
    host = settings.api.host
    if not is_served(settings) or host.startswith("127.") or host in ("::1", "localhost"):
        return ""
    if host in ANY:
        host = settings.page.hosts[0] if settings.page.hosts else f"{socket.gethostname().partition('.')[0]}.local"
    return _url(host, settings.api.port)


def shown(settings: Settings) -> str:
    """The address that people are told: on the network where it is served there; empty where it is not known before."""
    return (network_address(settings) or local_address(settings)) if settings.api.port else ""


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
