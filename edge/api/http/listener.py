"""The listening socket. Addresses beyond loopback require access keys."""

from __future__ import annotations

import ipaddress
import socket

from edge.core.errors import SettingsError
from edge.core.settings.services import ApiSettings


def refuse_open_door(api: ApiSettings) -> None:
    """Raises SettingsError for an address beyond loopback without access keys."""
    if api.keys or api.unsigned_anywhere or is_loopback(api.host):
        return
    raise SettingsError(
        f"api.host is {api.host}, and api.keys is empty: any client could read and delete every face",
        "set api.keys, listen on 127.0.0.1, or set api.unsigned_anywhere = true",
    )


def listening(host: str, port: int, backlog: int, setting: str) -> socket.socket:
    """Bind the listening socket here, because uvicorn exits the process if it cannot bind.

    ``setting``: the name of the port's setting. Raises SettingsError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError as error:
        raise SettingsError(
            f"{setting.split('.')[0]}: cannot listen on {host} port {port}: {error}", f"set {setting} to a free port"
        ) from error
    return listener


def is_loopback(host: str) -> bool:
    """Whether a host name or address is loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
