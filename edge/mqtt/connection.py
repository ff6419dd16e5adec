"""Creates paho clients, and computes the reconnect delay."""

from __future__ import annotations

import logging
import random
import socket
import ssl
from dataclasses import dataclass, replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.core.errors import SettingsError
from edge.core.settings.messaging import BrokerAddress, MqttSettings
from edge.core.system.heartbeat import Heartbeat

log = logging.getLogger(__name__)

SESSION_SECONDS = 300
"""session expiry at the broker: messages sent in the meantime are still delivered"""
WILL_DELAY = 10
"""delay of the will, so that short interruptions are not published; MQTT 5 only"""
RECEIVE = 500
"""receive maximum; MQTT 5 only"""
INFLIGHT = 20
"""in-flight publishes; most brokers accept no more from a client"""
DUPLICATE_PAUSE = (15.0, 300.0)
"""initial and maximum pause in seconds where another client uses the same id, as each closes the other's connection"""
LONGEST_PAUSE = 60.0
"""approximate seconds between two attempts"""


MOST_PACKET = 268_435_455
"""maximum bytes of an MQTT packet"""


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """Limits of a broker: from its CONNACK, or from its refusals."""

    retain: bool = True
    """retained messages are supported"""
    qos: int = 2
    """the highest quality of service"""
    packet: int = MOST_PACKET
    """bytes"""
    inflight: int = INFLIGHT
    """in-flight publishes"""

    @staticmethod
    def stated(properties: object) -> BrokerLimits:
        """Limits from a CONNACK of MQTT 5; properties that are absent mean no limit."""
        return BrokerLimits(
            retain=bool(getattr(properties, "RetainAvailable", 1)),
            qos=int(getattr(properties, "MaximumQoS", 2)),
            packet=int(getattr(properties, "MaximumPacketSize", MOST_PACKET)),
            inflight=min(INFLIGHT, int(getattr(properties, "ReceiveMaximum", INFLIGHT))),
        )

    def after(self, code: int) -> BrokerLimits:
        """Limits without what the broker refused by this MQTT 5 reason code; unchanged for other codes."""
        match code:
            case ReasonCodes.RETAIN_NOT_SUPPORTED:
                return replace(self, retain=False)
            case ReasonCodes.QOS_NOT_SUPPORTED:
                return replace(self, qos=0)
        return self

    @property
    def missing(self) -> str:
        """Required features that the broker lacks, with hints; empty: none."""
        if not self.retain and self.qos < 1:
            return f"{NO_RETAIN}; {NO_QOS}"
        return "" if self.retain and self.qos else NO_QOS if self.retain else NO_RETAIN


class ReasonCodes:
    """Handled reason codes of MQTT 5."""

    PACKET_TOO_LARGE = 149
    RETAIN_NOT_SUPPORTED = 154
    QOS_NOT_SUPPORTED = 155
    TAKEN_OVER = 142


NO_RETAIN = (
    "the broker keeps no retained messages, so only clients that are connected see a change of state; "
    "allow them (mosquitto: retain_available true)"
)
NO_QOS = (
    "the broker supports only QoS 0, so events are lost when the link is lost; allow QoS 1 (mosquitto: max_qos 1), "
    "or set mqtt.acknowledge = 'hub'"
)


@dataclass(frozen=True, slots=True)
class BirthAndWill:
    """Birth, offline message and will of a client, retained."""

    topic: str
    online: bytes
    stopped: bytes
    lost: bytes


class BrokerConnection(paho.Client):
    """A paho client whose thread sends heartbeats while it is connected."""

    pulse: Heartbeat | None = None
    receive_maximum = RECEIVE

    def loop_misc(self) -> MQTTErrorCode:
        """Called by paho at the end of each loop."""
        if self.pulse is not None:
            self.pulse.beat()
        return super().loop_misc()


def build(
    settings: MqttSettings,
    client_id: str,
    version: str,
    presence: BirthAndWill | None,
    limits: BrokerLimits,
    kind: type[BrokerConnection] | None = None,
) -> BrokerConnection:
    """A paho client, not yet connected. Raises SettingsError for invalid files.

    ``version``: ``5`` or ``3.1.1``. A client with a ``kind`` acknowledges messages manually.
    """
    modern = version == "5"
    client = (kind or BrokerConnection)(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        # 3.1.1 sessions do not expire: commands of last year would wait in it
        clean_session=None if modern else True,
        protocol=MQTTProtocolVersion.MQTTv5 if modern else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=True,
        manual_ack=kind is not None,
    )
    client.suppress_exceptions = True
    client.max_inflight_messages_set(limits.inflight)
    if settings.username:
        client.username_pw_set(settings.username, settings.password.get_secret_value() or None)
    if settings.tls:
        client.tls_set_context(tls(settings))
    if presence:
        qos, properties = min(1, limits.qos), _will(modern)
        client.will_set(presence.topic, presence.lost, qos=qos, retain=limits.retain, properties=properties)
    return client


def connect(
    client: paho.Client, address: BrokerAddress, keepalive: int, session_seconds: int = SESSION_SECONDS
) -> None:
    """Start paho's thread, which connects and reconnects. Raises ValueError for an invalid host."""
    redirect(client, address, keepalive, session_seconds)
    client.loop_start()


def redirect(client: paho.Client, address: BrokerAddress, keepalive: int, session_seconds: int) -> None:
    """Let paho's thread use ``address`` at its next attempt. Raises ValueError for an invalid host.

    Closes the connection, where there is one.
    """
    address.host.encode("idna")  # an invalid host name would end paho's thread
    client.connect_async(address.host, address.port, keepalive, **session_options(client, session_seconds))


def session_options(client: paho.Client, session_seconds: int = SESSION_SECONDS) -> dict[str, Any]:
    """Arguments of paho's connect: resume the session where the broker kept it; MQTT 5 only."""
    if client.protocol != MQTTProtocolVersion.MQTTv5:
        return {}
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_seconds
    properties.ReceiveMaximum = getattr(client, "receive_maximum", RECEIVE)
    return {"clean_start": False, "properties": properties}


def no_delay(_client: paho.Client, _data: object, sock: object) -> None:
    """``on_socket_open``: sets TCP_NODELAY; without it a request takes 44 to 88 ms instead of 0.5 ms."""
    try:
        getattr(sock, "setsockopt", lambda *_: None)(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        log.debug("TCP_NODELAY: %s", error)


def tls(settings: MqttSettings) -> ssl.SSLContext:
    """The TLS context. Raises SettingsError naming the file."""
    try:
        context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
        if settings.certificate and settings.key:
            context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(path) for path in (settings.ca, settings.certificate, settings.key) if path)
        raise SettingsError(f"mqtt TLS files {names}: {error}", "check that they exist and belong together") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.insecure:
        context.check_hostname = False
    return context


def publish_properties(version: str, expiry: int | None, response_topic: str, correlation: bytes) -> Properties | None:
    """Properties of a message; none in 3.1.1. ``expiry``: seconds."""
    if version != "5" or not (expiry or response_topic or correlation):
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if expiry:
        properties.MessageExpiryInterval = expiry
    if response_topic:
        properties.ResponseTopic = response_topic
    if correlation:
        properties.CorrelationData = correlation
    return properties


def pause(failures: int, spread: float) -> float:
    """Seconds until the next attempt after ``failures`` in a row; random, so that fleets do not reconnect at once."""
    if not failures:
        return random.uniform(spread / 10, spread)  # noqa: S311
    longest = min(max(LONGEST_PAUSE, spread), spread * 2 ** min(failures, 16))
    return random.uniform(longest / 2, longest)  # noqa: S311


def _will(modern: bool) -> Properties | None:
    if not modern:
        return None
    properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
    properties.WillDelayInterval = WILL_DELAY
    return properties
