"""Words for the state of the link to the broker, and what an error says about it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum


class Link(StrEnum):
    """How the link to the broker is."""

    OFF = "off"
    """no broker is set"""
    CONNECTING = "connecting"
    ONLINE = "online"
    UNREACHABLE = "unreachable"
    """no answer: name, route, port or time-out"""
    UNTRUSTED = "untrusted"
    """TLS failed: a certificate, a key, or the clock"""
    UNAUTHORISED = "unauthorised"
    """the broker knows neither the user nor the certificate, or the password is wrong"""
    REFUSED = "refused"
    """the broker answered, and does not want us"""
    UNSUPPORTED = "unsupported"
    """the broker does not speak the protocol version that is pinned"""
    DUPLICATE = "duplicate_client_id"
    """another client takes the connection over, again and again"""
    STOPPED = "stopped"


HINTS = {
    Link.UNREACHABLE: "check mqtt.host and mqtt.port, and that the broker runs",
    Link.UNTRUSTED: "check mqtt.ca, mqtt.certificate and mqtt.key, and this machine's clock",
    Link.UNAUTHORISED: "check mqtt.username and mqtt.password",
    Link.REFUSED: "look at the broker's log",
    Link.UNSUPPORTED: "set mqtt.version to 'auto' or '3.1.1'",
    Link.DUPLICATE: "give each device a name (or mqtt.client_id) of its own",
}

_CONNACK = {132: Link.UNSUPPORTED, 134: Link.UNAUTHORISED, 135: Link.UNAUTHORISED, 140: Link.UNAUTHORISED}
"""reason codes of MQTT 5, to which paho translates those of 3.1.1"""


@dataclass(frozen=True, slots=True)
class Health:
    """How the link is, for the state document, the doctor and the log."""

    link: Link
    detail: str = ""
    version: str = ""
    """of the protocol: ``5`` or ``3.1.1``"""
    heard: float | None = None
    """seconds since the broker last answered anything; None: never"""
    connects: int = 0
    drops: int = 0
    refused: int = 0
    """publishes that the broker answered with an error"""

    @property
    def hint(self) -> str:
        """What to try, empty when nothing is wrong."""
        return HINTS.get(self.link, "")


def of_error(error: BaseException | None) -> tuple[Link, str]:
    """What an exception while connecting means. The detail names no secret."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Link.UNTRUSTED, f"the broker's certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return Link.UNTRUSTED, f"TLS: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return Link.UNREACHABLE, f"the host name is not found: {error.strerror}"
    if isinstance(error, TimeoutError):
        return Link.UNREACHABLE, "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return Link.UNREACHABLE, "nothing listens on that port"
    return Link.UNREACHABLE, str(error) if error else "no answer"


def of_connack(code: int, text: str) -> tuple[Link, str]:
    """What the broker's refusal means."""
    return _CONNACK.get(code, Link.REFUSED), text
