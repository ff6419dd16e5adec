"""Checks of the broker: reachable, trusted, authorized, and limiting this device to its own topics."""

from __future__ import annotations

import json
import queue
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.errors import EdgeError, SettingsError
from edge.core.settings.messaging import BrokerAddress, MqttSettings
from edge.daemon import control
from edge.daemon.control import BROKER, BROKER_SECONDS
from edge.mqtt import connection
from edge.mqtt.access_check import PROBE, PROBE_EXPIRY, AccessCheck
from edge.mqtt.client import client_id, presence
from edge.mqtt.connection import BrokerConnection, BrokerLimits
from edge.mqtt.link_state import ATTEMPTS, HINTS, UNANSWERED, Attempt, Link, LinkHealth, of_connack, of_error
from edge.mqtt.messages import MAX_DOCUMENT
from edge.mqtt.topics import Topics


def broker(context: DoctorContext) -> Iterator[Finding]:
    """Check the connection of the running daemon; else open one with the same settings."""
    settings = context.settings.mqtt
    if not settings.host:
        yield Finding(Level.NOTE, "broker", "not configured: events stay on this device", "", "set mqtt.host")
        return
    if (known := _of_daemon(context)) is not None:
        yield from _daemon_findings(known, context)
        return
    for number, where in enumerate(settings.addresses, 1):
        visit = _Visit(settings, where, context.settings.device.name, context.seconds)
        # one broker of a cluster that answers is enough
        level = Level.ERROR if number == len(settings.addresses) else Level.WARNING
        yield from _visit_findings(visit, context, level)
        if visit.accepted:
            return


def _visit_findings(visit: _Visit, context: DoctorContext, level: Level) -> Iterator[Finding]:
    """Findings of one broker; ``level``: of a failed connection."""
    settings, where = visit.settings, visit.address
    try:
        if trouble := visit.connect():
            link, detail = trouble
            what = f"the broker at {where} is {link}: {detail}"
            yield Finding(level, "broker", what, _meaning(link), visit.remedy(link))
            return
        yield Finding(
            Level.OK,
            "broker",
            f"{where} accepts the connection (MQTT {visit.version}{', TLS' if settings.tls else ''})",
        )
        yield from _limits(visit.limits)
        yield from _unencrypted(settings)
        topics = Topics(context.settings.device.name)
        yield from _access(visit.access(topics), visit.version, topics)
    finally:
        visit.close()


def _of_daemon(context: DoctorContext) -> AccessCheck | None:
    """The check of the running daemon; None where none runs, or it does not answer."""
    if context.daemon is None:
        return None
    try:
        return AccessCheck.of(control.ask(context.state, BROKER, {}, 4 * BROKER_SECONDS))
    except (EdgeError, KeyError, TypeError, ValueError):
        return None  # another version or user


def _daemon_findings(known: AccessCheck, context: DoctorContext) -> Iterator[Finding]:
    health, settings = known.health, context.settings.mqtt
    where = health.address or settings.addresses[0]
    if health.link is not Link.ONLINE:
        what = f"the daemon's link to {where} is {health.link}: {health.detail or 'no detail is known'}"
        yield Finding(Level.ERROR, "broker", what, _meaning(health.link), health.hint or "wait, and check again")
        return
    tls = ", TLS" if settings.tls else ""
    yield Finding(Level.OK, "broker", f"the daemon is online at {where} (MQTT {health.version}{tls})")
    yield from _limits(known.limits)
    yield from _unencrypted(settings)
    yield from _access(known, health.version, Topics(context.settings.device.name))


def _unencrypted(settings: MqttSettings) -> Iterator[Finding]:
    if settings.password.get_secret_value() and not settings.tls and not _is_local(settings.host):
        what = "the password is sent unencrypted"
        yield Finding(Level.WARNING, "broker", what, "mqtt.tls is off", "set mqtt.tls and mqtt.ca")


def _limits(limits: BrokerLimits) -> Iterator[Finding]:
    """Limits of the broker that affect the daemon."""
    if limits.missing:
        why, _, remedy = limits.missing.partition("; ")
        yield Finding(Level.WARNING, "broker", why, "the daemon works without it", remedy)
    if limits.packet < MAX_DOCUMENT:
        yield Finding(
            Level.WARNING, "broker", f"it accepts messages of at most {limits.packet} bytes, edge sends {MAX_DOCUMENT}",
            "large messages (Home Assistant's discovery, pictures, enrollments) do not arrive",
            "raise it (mosquitto: max_packet_size 300000)",
        )  # fmt: skip


def _access(known: AccessCheck, version: str, topics: Topics) -> Iterator[Finding]:
    """Check that the access list allows exactly the topics of this device."""
    refused, heard = known.own_half, known.heard
    below = topics.ack.rpartition("/")[0]
    if refused:
        yield Finding(
            Level.ERROR, "broker", f"this device may not publish below {topics.status.rpartition('/')[0]}/: {refused}",
            "its events wait in the outbox",
            "allow it: pattern write edge/v1/%u/up/# in mosquitto's acl_file",
        )  # fmt: skip
    if not heard:
        yield Finding(
            Level.ERROR, "broker", f"this device may not subscribe below {below}/",
            "commands and the hub's acknowledgments do not reach it", "allow it: pattern read edge/v1/%u/down/#",
        )  # fmt: skip
    if version != "5":
        yield Finding(Level.NOTE, "broker", "MQTT 3.1.1 does not report whether the broker rejects a publish")
    elif not known.other_half:
        yield Finding(
            Level.NOTE, "broker", f"this device may also write below {below}/: no access list prevents it",
            "a stolen device could send commands to other devices", "use the acl_file of config/mosquitto",
        )  # fmt: skip
    elif not refused and heard:
        yield Finding(Level.OK, "broker", "the access list limits this device to its own topics")


def hub(context: DoctorContext) -> Iterator[Finding]:
    """Check that a hub has acknowledged events of this device (its mark is retained)."""
    settings = context.settings.mqtt
    if not settings.host or settings.acknowledge != "hub":
        return
    mark = b""
    for address in settings.addresses:
        visit = _Visit(settings, address, context.settings.device.name, context.seconds)
        try:
            if visit.connect():
                continue  # reported by ``broker``
            topics = Topics(context.settings.device.name)
            visit.subscribe(topics.ack)
            mark = visit.heard(topics.ack, 2.0)
            break
        finally:
            visit.close()
    else:
        return
    try:
        seq = int(json.loads(mark)["seq"]) if mark else None
    except (ValueError, KeyError, TypeError):
        seq = None
    if seq is None:
        yield Finding(
            Level.WARNING, "hub", "no hub has acknowledged any event of this device",
            "with mqtt.acknowledge = 'hub' events stay in the outbox until one does",
            "run edge hub ingest at this broker, or set mqtt.acknowledge = 'broker'",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "hub", f"it has stored this device's events up to {seq}")


@dataclass(frozen=True)
class _Connack:
    """The broker's answer to a connect."""

    code: int
    """reason code of MQTT 5; 0: accepted"""
    text: str
    properties: Any


@dataclass
class _Visit:
    """One short connection. Paho's callbacks only fill queues."""

    settings: MqttSettings
    address: BrokerAddress
    device: str
    seconds: float
    version: str = "5"
    client: Any = None
    limits: BrokerLimits = field(default_factory=BrokerLimits)
    """as stated by the broker, or as reduced until it accepted the connection"""
    connected: queue.Queue[_Connack | None] = field(default_factory=queue.Queue)
    """None: the connection ended without an answer"""
    accepted: bool = False
    """whether the broker accepted the latest connection"""
    answers: queue.Queue[tuple[int, str]] = field(default_factory=queue.Queue)
    granted: queue.Queue[bool] = field(default_factory=queue.Queue)
    messages: queue.Queue[tuple[str, bytes]] = field(default_factory=queue.Queue)

    def connect(self) -> tuple[Link, str] | None:
        """Connect, with all the attempts of the daemon. Returns None on success, else the reason."""
        trouble: tuple[Link, str] | None = None
        ways = list(dict.fromkeys(ATTEMPTS[self.settings.version]))
        while ways:
            way = ways.pop(0)
            self.version, self.limits = way.version, way.limits
            trouble, again = self._try()
            if not again:
                return trouble
            if self.limits != way.limits:
                ways.insert(0, Attempt(self.version, self.limits))
            self.close()
        return trouble

    def _try(self) -> tuple[tuple[Link, str] | None, bool]:
        """One attempt. Returns the reason of a failure, and whether another attempt may succeed."""
        try:
            will = presence(self.device, 0)
            # this client class does not acknowledge messages, so those queued for the daemon's session stay queued
            self.client = connection.build(
                self.settings, client_id(self.settings, self.device), self.version, will, self.limits, BrokerConnection
            )
            self._listen(self.client)
            self.address.host.encode("idna")
            options = connection.session_options(self.client)
            self.client.connect(*self.address, self.settings.keepalive, **options)
        except SettingsError as error:
            return (Link.UNTRUSTED, error.message), False
        except (OSError, ValueError) as error:  # ValueError: invalid host name
            return of_error(error), False
        self.client.loop_start()
        try:
            answer = self.connected.get(timeout=self.seconds)
        except queue.Empty:
            return (
                Link.UNREACHABLE,
                f"the port is open, but there was no MQTT answer within {self.seconds:.0f} s",
            ), False
        if answer is None:
            return (Link.REFUSED, f"the broker closes the connection without an answer to MQTT {self.version}"), True
        if answer.code:
            trouble, before = of_connack(answer.code, answer.text), self.limits
            self.limits = before.after(answer.code)
            return trouble, trouble[0] is Link.UNSUPPORTED or self.limits != before
        if self.version == "5":
            self.limits = BrokerLimits.stated(answer.properties)
        self.accepted = True
        return None, False

    def _listen(self, client: paho.Client) -> None:
        client.on_connect = lambda _c, _d, _f, code, properties: self.connected.put(
            _Connack(code.value if code.is_failure else 0, str(code), properties)
        )
        client.on_disconnect = lambda *_: self.connected.put(None)
        client.on_publish = lambda _c, _d, mid, code, _p: self.answers.put((mid, str(code) if code.is_failure else ""))
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self.granted.put(not any(c.is_failure for c in codes))
        client.on_message = lambda _c, _d, message: self.messages.put((message.topic, bytes(message.payload)))

    def access(self, topics: Topics) -> AccessCheck:
        """Publish to both halves of the device's topics, and subscribe to its own."""
        below = topics.ack.rpartition("/")[0]
        health = LinkHealth(Link.ONLINE, version=self.version)
        own, heard = self.publish(topics.response(PROBE)), self.subscribe(f"{below}/{PROBE}")
        return AccessCheck(health, self.limits, own, self.publish(f"{below}/{PROBE}"), heard)

    def publish(self, topic: str) -> str:
        """Publish an empty message. Returns why it was rejected; empty: accepted."""
        properties = None
        if self.client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = paho.Properties(paho.PacketTypes.PUBLISH)  # type: ignore[attr-defined, no-untyped-call]
            properties.MessageExpiryInterval = PROBE_EXPIRY
        # retained like the daemon's messages; an empty one leaves nothing at the broker
        mid = self.client.publish(topic, b"", min(1, self.limits.qos), self.limits.retain, properties).mid
        until = time.monotonic() + self.seconds
        while (left := until - time.monotonic()) > 0:
            try:
                answered, reason = self.answers.get(timeout=left)
            except queue.Empty:
                break
            if answered == mid:
                return reason
        return "no answer"

    def subscribe(self, topic: str) -> bool:
        self.client.subscribe(topic, qos=1)
        try:
            return self.granted.get(timeout=self.seconds)
        except queue.Empty:
            return False

    def heard(self, topic: str, seconds: float) -> bytes:
        """The first message of a topic within ``seconds``; empty: none."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                came, payload = self.messages.get(timeout=left)
            except queue.Empty:
                break
            if came == topic:
                return payload
        return b""

    def remedy(self, link: Link) -> str:
        """Remedy of a failed connection."""
        return UNANSWERED if link is Link.REFUSED else HINTS.get(link, "try again")

    def close(self) -> None:
        if self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()
            self.connected = queue.Queue()


def _meaning(link: Link) -> str:
    return {
        Link.UNREACHABLE: "events wait in the outbox",
        Link.UNTRUSTED: "nothing is sent over an untrusted connection",
        Link.UNAUTHORIZED: "the broker does not accept this user name and password",
    }.get(link, "events wait in the outbox")


def _is_local(host: str) -> bool:
    try:
        return socket.gethostbyname(host).startswith("127.")
    except OSError:
        return False
