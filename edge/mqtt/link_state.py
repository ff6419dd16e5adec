"""State of the link to the broker: health, reconnect delay, and the MQTT version to use."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass

from edge.core.compat import StrEnum
from edge.core.settings.messaging import BrokerAddress, MqttSettings
from edge.mqtt import connection
from edge.mqtt.connection import BrokerLimits, ReasonCodes


class Link(StrEnum):
    """Status of the link to the broker."""

    OFF = "off"
    """no broker is configured"""
    CONNECTING = "connecting"
    ONLINE = "online"
    UNREACHABLE = "unreachable"
    """no answer: name, route, port or time-out"""
    UNTRUSTED = "untrusted"
    """TLS failed: a certificate, a key, or the clock"""
    UNAUTHORIZED = "unauthorized"
    """wrong user name, password or certificate"""
    REFUSED = "refused"
    """the broker refused the connection"""
    UNSUPPORTED = "unsupported"
    """the broker does not support the configured protocol version"""
    DUPLICATE = "duplicate_client_id"
    """another client takes the session over repeatedly"""
    STOPPED = "stopped"


HINTS = {
    Link.UNREACHABLE: "check mqtt.host, mqtt.port and mqtt.tls, and that the broker runs",
    Link.UNTRUSTED: "check mqtt.ca, mqtt.certificate and mqtt.key, and this machine's clock",
    Link.UNAUTHORIZED: "check mqtt.username and mqtt.password",
    Link.REFUSED: "look at the broker's log",
    Link.UNSUPPORTED: "set mqtt.version to 'auto' or '3.1.1'",
    Link.DUPLICATE: "give each device a name (or mqtt.client_id) of its own",
}

_CONNACK = {132: Link.UNSUPPORTED, 134: Link.UNAUTHORIZED, 135: Link.UNAUTHORIZED, 140: Link.UNAUTHORIZED}
"""reason codes of MQTT 5, to which paho translates those of 3.1.1"""
REASON_HINTS = {
    133: "set mqtt.client_id: the broker refuses this one",
    136: "wait, or look at the broker's log: it is not available",
    137: "wait, or look at the broker's log: it is busy",
    138: "look at the broker's ban list: it refuses this client",
    139: "the broker is shutting down; edge reconnects automatically",
    141: "lower mqtt.keepalive, or look at the network: the broker received nothing in time",
    143: "look at the broker's rules for topics",
    144: "look at the broker's rules for topics: it refuses one of edge/v1/...",
    147: "raise the broker's receive maximum (mosquitto: max_inflight_messages)",
    149: "raise the broker's packet size (mosquitto: max_packet_size 300000)",
    150: "raise the broker's message rate for this client",
    151: "raise the broker's quota for this client",
    152: "look at the broker's log: its owner ended the connection",
    154: "allow retained messages at the broker (mosquitto: retain_available true)",
    155: "allow QoS 1 at the broker (mosquitto: max_qos 1)",
    156: "set mqtt.host to the server that the broker names in its log",
    157: "set mqtt.host to the server that the broker names in its log",
    159: "raise the broker's connection rate, or mqtt.reconnect_seconds",
}
"""reason codes of CONNACK and DISCONNECT"""
UNANSWERED = (
    "look at the broker's log: it may expect TLS (mqtt.tls) or another version (mqtt.version), or refuse retained "
    "messages, QoS 1 or the client id"
)


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """Health of the link, for status, doctor and log."""

    link: Link
    detail: str = ""
    version: str = ""
    """of the protocol: ``5`` or ``3.1.1``"""
    heard: float | None = None
    """seconds since the last response of the broker; None: never"""
    connects: int = 0
    drops: int = 0
    refused: int = 0
    """publishes that the broker answered with an error"""
    remedy: str = ""
    """hint for this case"""
    address: str = ""
    """``host:port`` of the broker in use, or of the next attempt"""

    @property
    def hint(self) -> str:
        """A hint, empty when nothing is wrong."""
        return self.remedy or HINTS.get(self.link, "")


def of_error(error: BaseException | None) -> tuple[Link, str]:
    """The status for an exception while connecting. The detail contains no secrets."""
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
    """The status for a CONNACK reason code."""
    return _CONNACK.get(code, Link.REFUSED), text


log = logging.getLogger(__name__)

SHORT_LIFE, SHORT_LIVES = 10.0, 5
"""duration (s) of a short connection, and how many in a row mean that another client uses the same id"""
SUBSCRIBE_PAUSE = (2.0, 300.0)
"""initial and maximum seconds until a refused subscription is requested again"""
SILENCES = 2
"""consecutive connections without a response after which the other version of MQTT is tried"""
OUTAGE_SILENCES = 12
"""the same for a broker that has worked before: a cluster that elects a leader closes connections too"""
ANSWER_SECONDS = 8.0
"""seconds within which a broker must respond to a connect, or to the first message"""
QUICK_ATTEMPTS, QUICK_PAUSE = 8, 1.0
"""seconds between attempts without a response that count as consecutive: each uses other parameters"""


EVERYTHING = BrokerLimits()


@dataclass(frozen=True, slots=True)
class Attempt:
    """Parameters of a connection attempt."""

    version: str
    """protocol version"""
    limits: BrokerLimits = EVERYTHING


WITHOUT_RETAIN, AT_QOS_0 = BrokerLimits(retain=False), BrokerLimits(retain=False, qos=0)
ATTEMPTS = {
    "auto": (
        Attempt("5"), Attempt("3.1.1"), Attempt("5"), Attempt("3.1.1"),
        Attempt("3.1.1", WITHOUT_RETAIN), Attempt("3.1.1", AT_QOS_0),
    ),
    "5": (Attempt("5"), Attempt("5", WITHOUT_RETAIN), Attempt("5", AT_QOS_0)),
    "3.1.1": (Attempt("3.1.1"), Attempt("3.1.1", WITHOUT_RETAIN), Attempt("3.1.1", AT_QOS_0)),
}  # fmt: skip
"""mqtt.version -> parameters tried where a broker never responds, each ``SILENCES`` times"""


class LinkState:
    """Times, counters and consecutive failures. Thread-safe; makes no calls."""

    def __init__(self, settings: MqttSettings) -> None:
        self.version = "3.1.1" if settings.version == "3.1.1" else "5"
        """protocol version of the next connect"""
        self.limits = BrokerLimits()
        """features requested at the next connect, and used on this one"""
        self._settings, self._addresses = settings, settings.addresses
        self._latest = 0
        """index of the address of the latest connection that was online"""
        self._lock = threading.Lock()
        self._link, self._detail = (Link.CONNECTING, "") if settings.host else (Link.OFF, "")
        self._heard: float | None = None
        self._connected_at: float | None = None
        self._connects = self._drops = self._refused = 0
        self._failures = self._short_lives = self._silences = 0
        self._not_subscribed: set[tuple[str, str]] = set()
        self._reset = self._answered = self._spoke_5 = False
        self._opened_at: float | None = None
        self._remedy = self._said_missing = ""
        self._good: Attempt | None = None
        """parameters of the latest complete connection; None: none yet"""
        self._subscribe_refusals = 0
        """consecutive refusals of a subscription on this connection"""

    @property
    def connects(self) -> int:
        return self._connects

    @property
    def not_granted(self) -> frozenset[str]:
        """Filters whose subscription the broker refused."""
        with self._lock:
            return frozenset(topic_filter for topic_filter, _ in self._not_subscribed)

    @property
    def address(self) -> BrokerAddress:
        """The address of the next attempt: after a lost link the same, after each failed attempt the next one."""
        return self._addresses[(self._latest + self._failures) % len(self._addresses)]

    @property
    def silent(self) -> float:
        """Seconds since the last response of the broker; since boot where there was none."""
        with self._lock:
            return time.monotonic() - (self._heard or 0.0)

    def health(self) -> LinkHealth:
        with self._lock:
            heard = None if self._heard is None else time.monotonic() - self._heard
            version = self.version if self._connects else ""
            counts = (self._connects, self._drops, self._refused)
            return LinkHealth(self._link, self._detail, version, heard, *counts, self._remedy, str(self.address))

    def become(self, link: Link, detail: str = "", remedy: str = "") -> None:
        with self._lock:
            self._link, self._detail, self._remedy = link, detail, remedy

    def heard(self) -> None:
        with self._lock:
            self._heard = time.monotonic()

    def opened(self) -> None:
        """The connection is open; no packet received yet."""
        with self._lock:
            self._answered = False
            self._opened_at = time.monotonic()

    def answered(self) -> None:
        """CONNACK received: the broker supports this version of MQTT."""
        with self._lock:
            self._answered, self._opened_at = True, None

    def connected(self) -> None:
        with self._lock:
            self._heard = self._connected_at = time.monotonic()
            self._connects += 1
            self._subscribe_refusals = 0

    def online(self) -> None:
        with self._lock:
            self._latest = (self._latest + self._failures) % len(self._addresses)
            failures, self._failures, self._silences = self._failures, 0, 0
            self._spoke_5 = self._spoke_5 or self.version == "5"
            if not self.limits.missing:
                self._good = Attempt(self.version, BrokerLimits(inflight=self.limits.inflight))
        self.become(Link.ONLINE)
        log.info("mqtt: online at %s, MQTT %s, after %d failed attempts", self.address, self.version, failures)
        missing, said = self.limits.missing, self._said_missing
        self._said_missing = missing
        if missing and missing != said:
            log.warning("mqtt: %s: %s", self.address, missing)
        if missing:
            self.become(Link.ONLINE, missing)

    def was_reset(self) -> None:
        """The network ended the connection, not the broker."""
        with self._lock:
            self._reset = True

    def disconnected(self) -> float | None:
        """Duration of the connection in seconds; None: the broker had not accepted it."""
        with self._lock:
            began, self._connected_at, self._opened_at = self._connected_at, None, None
        return None if began is None else time.monotonic() - began

    def lost(self, lived: float, code: int, text: str, was_online: bool) -> None:
        """A connection that lasted ``lived`` seconds was lost."""
        with self._lock:
            self._drops += 1
            # a network fault resets a connection; a broker closes it where another client takes the id over
            short = lived < SHORT_LIFE and not self._reset
            self._reset = False
            self._short_lives = self._short_lives + 1 if short else 0
        if self._short_lives >= SHORT_LIVES or code == ReasonCodes.TAKEN_OVER:
            self.failed(Link.DUPLICATE, f"{self._short_lives} short connections in a row: {text}")
        elif was_online:
            remedy = REASON_HINTS.get(code, "")
            log.warning("mqtt: the link to %s is lost: %s%s", self.address.host, text, remedy and f"; {remedy}")
            self.become(Link.CONNECTING, f"lost: {text}", remedy)
        else:
            why = f"the broker accepted the connection and closed it before it acknowledged the first message: {text}"
            self.failed(Link.REFUSED, why, REASON_HINTS.get(code, UNANSWERED))

    def unreached(self, link: Link, detail: str) -> None:
        """The connection failed."""
        with self._lock:
            self._short_lives = 0
        self.failed(link, detail)

    def failed(self, link: Link, detail: str, remedy: str = "") -> None:
        """An attempt failed: one warning for consecutive failures of the same cause."""
        with self._lock:
            where = self.address
            self._failures += 1
            known = self._failures > 1 and (self._link, self._detail) == (link, detail)
        self.become(link, detail, remedy)
        hint = remedy or HINTS.get(link, "")
        level = logging.DEBUG if known else logging.WARNING
        log.log(level, "mqtt: %s %s: %s%s", where, link, detail, hint and f"; {hint}")

    def refused(self, topic: str, reason: str) -> None:
        """The broker refused a publish."""
        with self._lock:
            self._refused += 1
            first = self._refused == 1 or self._refused % 1000 == 0
        log.log(logging.WARNING if first else logging.DEBUG, "mqtt: %s was not sent: %s", topic, reason)

    def not_subscribed(self, topic_filter: str, reason: str) -> None:
        """The broker refused a subscription, which has no other visible effect."""
        with self._lock:
            self._refused += 1
            known = (topic_filter, reason) in self._not_subscribed
            self._not_subscribed.add((topic_filter, reason))
        words = "the broker refused the subscription to %s: %s: check its access list"
        words += "; without shared subscriptions, set hub.group = ''" if topic_filter[:7] == "$share/" else ""
        log.log(logging.DEBUG if known else logging.WARNING, "mqtt: " + words, topic_filter, reason)

    def subscribed(self, topic_filter: str) -> None:
        """The broker granted a subscription; it may have refused it before."""
        with self._lock:
            known = len(self._not_subscribed)
            self._not_subscribed = {pair for pair in self._not_subscribed if pair[0] != topic_filter}
            granted_late = len(self._not_subscribed) < known
        if granted_late:
            log.info("mqtt: the broker granted the subscription to %s", topic_filter)

    def subscribe_pause(self) -> float:
        """Seconds to wait before refused subscriptions are requested again."""
        with self._lock:
            self._subscribe_refusals += 1
            return min(SUBSCRIBE_PAUSE[1], SUBSCRIBE_PAUSE[0] * 2.0 ** min(self._subscribe_refusals - 1, 16))

    def steps_down(self, link: Link) -> bool:
        """Whether to retry with 3.1.1 after a broker refused MQTT 5."""
        if link is not Link.UNSUPPORTED or self._settings.version != "auto" or self.version != "5":
            return False
        log.info("mqtt: the broker does not support MQTT 5, using 3.1.1")
        self.version = "3.1.1"
        return True

    def overdue(self) -> str:
        """The response that is overdue; empty: none."""
        now = time.monotonic()
        with self._lock:
            opened, connected, link = self._opened_at, self._connected_at, self._link
        if opened is not None and now - opened > ANSWER_SECONDS:
            return f"the port is open, and no MQTT answer came within {ANSWER_SECONDS:g} s"
        if link is not Link.ONLINE and connected is not None and now - connected > ANSWER_SECONDS:
            return f"the broker accepted the connection but acknowledged no message within {ANSWER_SECONDS:g} s"
        return ""

    def unanswered(self) -> bool:
        """A connection ended without a response to its connect; whether the next attempt uses other parameters.

        Brokers that only support 3.1.1 do that with MQTT 5, and in 3.1.1 they cannot refuse a will in another way.
        """
        with self._lock:
            if self._answered:
                return False
        self.failed(
            Link.REFUSED, f"the broker closed the connection without a response to MQTT {self.version}", UNANSWERED
        )
        return self.asks_otherwise()

    def asks_otherwise(self) -> bool:
        """Count an attempt without a response; whether the next one uses other parameters."""
        ways = ATTEMPTS[self._settings.version]
        with self._lock:
            self._silences += 1
            tried = self._silences - (OUTAGE_SILENCES if self._good else 0)
            way = self._good if self._good and tried < 0 else ways[tried // SILENCES % len(ways)]
            changed = (way.version, way.limits) != (self.version, self.limits)
            self.version, self.limits = way.version, way.limits
        if changed:
            log.info("mqtt: trying MQTT %s%s", way.version, "" if way.limits.retain else " without retained messages")
        return changed

    def weakened(self, code: int) -> bool:
        """Whether to retry without the feature that the broker refused by this reason code."""
        limits = self.limits.after(code)
        if limits == self.limits:
            return False
        self.limits = limits
        return True

    def forget_limits(self) -> bool:
        """Reset the limits, as the broker may have changed; True where that changes the parameters."""
        changed = bool(self.limits.missing)
        self.limits = BrokerLimits(inflight=self.limits.inflight)
        return changed

    def returns_to_5(self) -> bool:
        """Whether to retry MQTT 5 with a broker that responds in 3.1.1. Call before ``answered``.

        True where the broker was silent in both versions, or has used 5 before: it was then offline behind a proxy that
        accepts connections, and 3.1.1 would stay in use for as long as the link is up.
        """
        with self._lock:
            guessed = self.version == "3.1.1" and self._settings.version == "auto" and self._silences > 0
            if not guessed or not (self._spoke_5 or (self.limits.retain and self._silences >= 2 * SILENCES)):
                return False
            self.version, self._spoke_5, self._silences = "5", False, 0
            self.limits = BrokerLimits()
        log.info("mqtt: the broker responds again, trying MQTT 5")
        return True

    def pause(self) -> float:
        """Seconds to wait before the next attempt."""
        rounds = self._failures // len(self._addresses)
        seconds = connection.pause(rounds, self._settings.reconnect_seconds)
        if 0 < self._silences < QUICK_ATTEMPTS:
            return min(seconds, QUICK_PAUSE)
        if self._link is Link.DUPLICATE:
            more = max(0, self._short_lives - SHORT_LIVES)
            seconds = max(seconds, min(connection.DUPLICATE_PAUSE[0] * 2**more, connection.DUPLICATE_PAUSE[1]))
        return seconds
