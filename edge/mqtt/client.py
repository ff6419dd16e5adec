"""The link to the broker: MQTT 5, or 3.1.1 where 5 is refused; comes back by itself, and says how it is.

Two threads: paho's, on which nothing of ours waits or may raise, and ``mqtt-work``, which calls handlers, publishes
what must be said at each connect, and replaces paho's client when that must be.

"Online" begins when the broker has acknowledged the first publish of a connection: only then has paho put all that
the last connection left unanswered before anything newer, so order holds across a reconnect.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.errors import SettingsError
from edge.mqtt import connection
from edge.mqtt.connection import Presence
from edge.mqtt.flights import Ack, Acknowledged, Flight, Flights
from edge.mqtt.link import Health, Link, of_connack, of_error
from edge.mqtt.messages import MAX_DOCUMENT, Status, to_json
from edge.mqtt.topics import Topics
from edge.pulse import Pulse
from edge.settings import Mqtt

__all__ = ["Ack", "Acknowledged", "Client", "Handler", "Incoming", "Sink", "of_device"]

log = logging.getLogger(__name__)

WAITING_MESSAGES = 1000
"""messages that wait for their handlers; more are dropped, and counted"""
SHORT_LIFE, SHORT_LIVES = 10.0, 5
"""seconds of a connection that make it short, and how many in a row mean that another client has our id"""
SILENCES = 2
"""connections without an answer, in a row, after which the other version of MQTT is tried"""
TAKEN_OVER = 142
"""reason code of MQTT 5: session taken over"""
TOO_LARGE = 149
"""reason code of MQTT 5: packet too large"""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came."""

    topic: str
    payload: bytes
    retained: bool = False
    response_topic: str = ""
    correlation: bytes = b""


Handler = Callable[[Incoming], None]
Sink = Callable[[Incoming, Callable[[], None]], None]
"""takes a message and what to call when it is safe: only then does the broker hear that it arrived"""


def of_device(settings: Mqtt, device: str, session: int) -> Client:
    """The client of a device, with its birth, will and farewell. ``session`` grows with each start of the daemon."""
    presence = Presence(
        topic=Topics(device).status,
        online=to_json(Status(True, session)),
        stopped=to_json(Status(False, session, "stopped")),
        lost=to_json(Status(False, session, "lost")),
    )
    return Client(settings, settings.client_id or f"edge-{device}", presence)


class Client:
    """``start`` never raises and never waits: broker, network and clock may all be absent."""

    def __init__(
        self,
        settings: Mqtt,
        client_id: str,
        presence: Presence | None = None,
        *,
        sink: Sink | None = None,
        session_seconds: int = connection.SESSION_SECONDS,
    ) -> None:
        """``sink`` is given every message, on paho's thread, in place of the handlers; it must not wait.

        ``session_seconds``: how long the broker keeps our session while we are away; MQTT 5 only.
        """
        self.on_online: list[Callable[[], None]] = []
        """called on the work thread after each connect"""
        self.work_pulse, self.network_pulse = Pulse(), Pulse()
        """of the work thread; of paho's while it is connected: a connect may wait for the resolver for long"""
        self._settings, self._client_id, self._presence = settings, client_id, presence
        self._sink, self._session_seconds = sink, session_seconds
        self._version = "3.1.1" if settings.version == "3.1.1" else "5"
        self._inflight = connection.INFLIGHT
        self._paho: paho.Client | None = None
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        """guards what follows; never held while paho is called, as paho holds its own locks when it calls us"""
        self._sending = threading.Lock()
        """one publish at a time, so that order is the order of the calls"""
        self._retained: dict[str, bytes] = {}
        self._handlers: list[tuple[str, Handler]] = []
        self._flights = Flights()
        self._link, self._detail = (Link.CONNECTING, "") if settings.host else (Link.OFF, "")
        self._heard: float | None = None
        self._connected_at = 0.0
        self._max_packet = MAX_DOCUMENT
        self._connects = self._drops = self._refused = self._failures = self._short_lives = 0
        self._messages = self._messages_dropped = 0
        self._reset = False
        self._online = False
        self._answered, self._silences = False, 0
        """whether the broker said anything on this connection; connections in a row on which it did not"""
        self._thread: threading.Thread | None = None

    @property
    def online(self) -> bool:
        """Whether the broker has us and answers."""
        return self._online

    @property
    def connects(self) -> int:
        """Counts connections: another number means that what was in flight may have been lost."""
        return self._connects

    def health(self) -> Health:
        with self._lock:
            heard = None if self._heard is None else time.monotonic() - self._heard
            version = self._version if self._connects else ""
            return Health(self._link, self._detail, version, heard, self._connects, self._drops, self._refused)

    def start(self) -> None:
        """Begin to connect, and go on for ever."""
        if not self._settings.host or self._thread:
            return
        self._thread = threading.Thread(target=self._work, name="mqtt-work", daemon=True)
        self._tasks.put(self._replace)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> None:
        """Say farewell and disconnect; waits at most ``timeout`` seconds for the broker."""
        if self._thread is None:
            return
        if self._online and self._presence:
            said = threading.Event()
            self.publish(self._presence.topic, self._presence.stopped, retain=True, acknowledged=lambda _: said.set())
            said.wait(timeout)
        self._tasks.put(None)
        self._thread.join(timeout + 6)
        self._close()
        self._become(Link.STOPPED)

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish ``payload`` retained, now if we are online, and again at each connect; empty: remove it."""
        with self._lock:
            self._retained[topic] = payload
        if self._online:
            self.publish(topic, payload, retain=True)

    def subscribe(self, topic_filter: str, handler: Handler) -> None:
        """Call ``handler`` on the work thread for each message that fits; again after each connect."""
        with self._lock:
            self._handlers.append((topic_filter, handler))
        if self._online and (client := self._paho):
            client.subscribe(self._filter(topic_filter), qos=1)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry: int | None = None,
        response_topic: str = "",
        correlation: bytes = b"",
        acknowledged: Acknowledged | None = None,
    ) -> bool:
        """Hand a message to the broker; False: not online, nothing was taken. Expiry is in seconds.

        True: ``acknowledged`` will be called once, on any thread, and must neither wait nor publish. What is in flight
        when the link is lost is sent again by itself.
        """
        if len(payload) + len(topic) + 64 > self._max_packet:
            self._count_refused(topic, f"the message has {len(payload)} bytes, the broker takes {self._max_packet}")
            if acknowledged:
                acknowledged(Ack(False, f"packet too large ({TOO_LARGE})"))
            return True
        properties = self._properties(expiry, response_topic, correlation)
        with self._sending:
            client = self._paho
            if not self._online or client is None:
                return False
            return self._send(client, topic, payload, qos, retain, properties, acknowledged)

    def _send(
        self,
        client: paho.Client,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Properties | None = None,
        acknowledged: Acknowledged | None = None,
    ) -> bool:
        info = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        # NO_CONN at QoS 1 means "queued": paho sends it later
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS and not (qos and info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN):
            return False
        flight = Flight(topic, qos, self._connects, retain, acknowledged)
        if early := self._flights.take_off(info.mid, flight):
            self._landed(flight, early)
        return True

    def _landed(self, flight: Flight, ack: Ack) -> None:
        if not ack.accepted and not ack.abandoned:
            self._count_refused(flight.topic, ack.reason)
        if flight.retained and flight.connection != self._connects and not ack.abandoned:
            # paho sent what the last connection left open after the birth: an older value may now be the retained one
            self._tasks.put(lambda: self._say_again(flight.topic))
        if flight.acknowledged:
            flight.acknowledged(ack)

    def _say_again(self, topic: str) -> None:
        with self._lock:
            payload = self._retained.get(topic)
        if payload is not None:
            self.publish(topic, payload, retain=True)

    def _count_refused(self, topic: str, reason: str) -> None:
        with self._lock:
            self._refused += 1
            first = self._refused == 1 or self._refused % 1000 == 0
        log.log(logging.WARNING if first else logging.DEBUG, "mqtt: the broker refused %s: %s", topic, reason)

    def _properties(self, expiry: int | None, response_topic: str, correlation: bytes) -> Properties | None:
        if self._version != "5" or not (expiry or response_topic or correlation):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry:
            properties.MessageExpiryInterval = expiry
        if response_topic:
            properties.ResponseTopic = response_topic
        if correlation:
            properties.CorrelationData = correlation
        return properties

    # the work thread

    def _work(self) -> None:
        while True:
            self.work_pulse.beat()
            try:
                task = self._tasks.get(timeout=min(5.0, max(1.0, self._settings.keepalive / 4)))
            except queue.Empty:
                task = self._look_after_paho
            if task is None:
                self.work_pulse.rest()
                return
            try:
                task()
            except Exception:
                log.exception("mqtt: a handler failed")

    def _look_after_paho(self) -> None:
        """Replace paho's client when its thread has died: it then says for ever that it is connected."""
        with self._lock:
            silent = time.monotonic() - (self._heard or 0.0)
        if self._online and silent > 3 * self._settings.keepalive:
            log.warning("mqtt: nothing heard for %.0f s on a link that should be up: starting it anew", silent)
            self._replace()

    def _replace(self) -> None:
        """A new paho client in the place of the old one."""
        self.work_pulse.rest()  # paho's thread, which must end first, may be waiting for a resolver
        self._close()
        self.work_pulse.beat()
        try:
            client = connection.build(
                self._settings, self._client_id, self._version, self._presence, self._inflight, bool(self._sink)
            )
            client.pulse = self.network_pulse
            self._listen(client)
            self._paho = client
            connection.connect(client, self._settings, self._session_seconds)
        except (SettingsError, ValueError) as error:
            link = Link.UNTRUSTED if isinstance(error, SettingsError) else Link.UNREACHABLE
            self._failed(link, str(error))
            self._later(self._replace, connection.pause(self._failures, self._settings.reconnect_seconds))

    def _later(self, task: Callable[[], None], seconds: float) -> None:
        timer = threading.Timer(seconds, self._tasks.put, (task,))
        timer.daemon = True
        timer.start()

    def _close(self) -> None:
        client, self._paho, self._online = self._paho, None, False
        if client is not None:
            client.disconnect()
            client.loop_stop()
            self.network_pulse.rest()
        for flight in self._flights.abandon():
            self._landed(flight, Ack(False, "the client was replaced", abandoned=True))

    def _arrived(self) -> None:
        """Online: say what must be said at each connect, then let the others know."""
        with self._lock:
            retained = list(self._retained.items())
        for topic, payload in retained:
            self.publish(topic, payload, retain=True)
        for listener in self.on_online:
            listener()

    def _handle(self, message: Incoming) -> None:
        with self._lock:
            self._messages -= 1
            handlers = [handler for rule, handler in self._handlers if paho.topic_matches_sub(rule, message.topic)]
        for handler in handlers:
            handler(message)

    # paho's thread: nothing here may wait, and what raises would end it

    def _listen(self, client: paho.Client) -> None:
        client.on_connect = _guarded(self._on_connect)
        client.on_connect_fail = _guarded(self._on_connect_fail)
        client.on_disconnect = _guarded(self._on_disconnect)
        client.on_publish = _guarded(self._on_publish)
        client.on_message = _guarded(self._on_message)
        client.on_log = _guarded(self._on_log)
        client.on_socket_open = _guarded(self._on_socket_open)

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, properties: Any) -> None:
        self._answered, self._silences = True, 0
        if code.is_failure:
            self._not_wanted(client, *of_connack(code.value, str(code)))
            return
        with self._lock:
            self._heard = self._connected_at = time.monotonic()
            self._connects += 1
            filters = [(self._filter(rule), 1) for rule, _ in self._handlers]
        self._obey(properties)
        if filters:
            client.subscribe(filters)
        if self._presence is None:
            self._now_online(client)
            return
        self._send(
            client,
            self._presence.topic,
            self._presence.online,
            1,
            True,
            acknowledged=lambda ack: None if ack.abandoned else self._now_online(client),
        )

    def _filter(self, topic_filter: str) -> str:
        """Brokers of 3.1.1 may not know shared subscriptions, and then nothing would ever come: take all."""
        if self._version == "5" or not topic_filter.startswith("$share/"):
            return topic_filter
        return topic_filter.split("/", 2)[2]

    def _obey(self, properties: Any) -> None:
        """The limits that the broker states. Paho does not keep to them by itself."""
        self._max_packet = int(getattr(properties, "MaximumPacketSize", 0) or MAX_DOCUMENT)
        receive = int(getattr(properties, "ReceiveMaximum", 0) or connection.INFLIGHT)
        if receive < self._inflight:
            self._inflight = receive
            self._tasks.put(self._replace)

    def _now_online(self, client: paho.Client) -> None:
        if client is not self._paho or self._online:
            return
        failures = self._failures
        self._online, self._failures = True, 0
        self._become(Link.ONLINE)
        where = f"{self._settings.host}:{self._settings.effective_port}"
        log.info("mqtt: online at %s, MQTT %s, after %d failed attempts", where, self._version, failures)
        self._tasks.put(self._arrived)

    def _not_wanted(self, client: paho.Client, link: Link, text: str) -> None:
        if link is Link.UNSUPPORTED and self._settings.version == "auto" and self._version == "5":
            log.info("mqtt: the broker does not speak MQTT 5, using 3.1.1")
            self._version = "3.1.1"
            self._tasks.put(self._replace)
            return
        self._failed(link, f"the broker answers: {text}")
        self._wait_before_next(client)

    def _on_connect_fail(self, client: paho.Client, _data: Any) -> None:
        # paho calls this while it handles the exception, and does not pass it on
        self._short_lives = 0
        self._failed(*of_error(sys.exc_info()[1]))
        self._wait_before_next(client)

    def _on_disconnect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        was_online, self._online = self._online, False
        self.network_pulse.rest()
        self._flights.lose_link()
        with self._lock:
            lived = time.monotonic() - self._connected_at if self._connected_at else None
            self._connected_at = 0.0
        if client is not self._paho:
            return
        if lived is None:
            self._unanswered()
            return
        self._drops += 1
        # the network resets a connection; a broker that throws us out for another client closes it
        short = lived < SHORT_LIFE and not self._reset
        self._reset = False
        self._short_lives = self._short_lives + 1 if short else 0
        if self._short_lives >= SHORT_LIVES or code.value == TAKEN_OVER:
            self._failed(Link.DUPLICATE, f"{self._short_lives} connections in a row were short: {code}")
        elif was_online:
            log.warning("mqtt: the link to %s is lost: %s", self._settings.host, code)
            self._become(Link.CONNECTING, f"lost: {code}")
        self._wait_before_next(client)

    def _unanswered(self) -> None:
        """The broker took a connection and never answered: some that speak 3.1.1 alone do that to MQTT 5."""
        if self._answered or self._settings.version != "auto":
            return
        self._silences += 1
        if self._silences % SILENCES == 0:
            self._version = "3.1.1" if self._version == "5" else "5"
            log.warning("mqtt: the broker does not answer, trying MQTT %s; mqtt.version pins one", self._version)
            self._tasks.put(self._replace)

    def _on_socket_open(self, client: paho.Client, data: object, sock: object) -> None:
        self._answered = False
        connection.no_delay(client, data, sock)

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        ack = Ack(not code.is_failure, "" if not code.is_failure else str(code))
        with self._lock:
            self._heard = time.monotonic()
        flight = self._flights.land(mid, ack)
        if flight is not None:
            self._landed(flight, ack)

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        properties = message.properties
        incoming = Incoming(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=message.retain,
            response_topic=getattr(properties, "ResponseTopic", "") or "",
            correlation=getattr(properties, "CorrelationData", b"") or b"",
        )
        if self._sink:
            self._heard = time.monotonic()
            self._sink(incoming, self._acknowledgement(client, message))
            return
        with self._lock:
            self._heard = time.monotonic()
            full = self._messages >= WAITING_MESSAGES
            self._messages += not full
            self._messages_dropped += full
        if full:
            log.debug("mqtt: handlers are behind, %d messages dropped so far", self._messages_dropped)
            return
        self._tasks.put(lambda: self._handle(incoming))

    def _acknowledgement(self, client: paho.Client, message: paho.MQTTMessage) -> Callable[[], None]:
        connection, mid, qos = self._connects, message.mid, message.qos

        def acknowledge() -> None:
            # a later connection counts its messages anew: the number would be another one's
            if connection == self._connects and client is self._paho:
                client.ack(mid, qos)

        return acknowledge

    def _on_log(self, _client: paho.Client, _data: Any, _level: int, text: str) -> None:
        if text.startswith(("Received PINGRESP", "Received SUBACK")):
            with self._lock:
                self._heard = time.monotonic()
        elif text.startswith("failed to receive"):
            self._reset = True
        elif text.startswith("Caught exception"):
            log.error("mqtt: %s", text)

    def _failed(self, link: Link, detail: str) -> None:
        self._failures += 1
        changed = self._link is not link
        self._become(link, detail)
        text = "mqtt: %s:%d %s: %s"
        level = logging.WARNING if changed or self._failures == 1 else logging.DEBUG
        log.log(level, text, self._settings.host, self._settings.effective_port, link, detail)

    def _become(self, link: Link, detail: str = "") -> None:
        with self._lock:
            self._link, self._detail = link, detail

    def _wait_before_next(self, client: paho.Client) -> None:
        seconds = connection.pause(self._failures, self._settings.reconnect_seconds)
        if self._link is Link.DUPLICATE:
            more = max(0, self._short_lives - SHORT_LIVES)
            seconds = max(seconds, min(connection.DUPLICATE_PAUSE[0] * 2**more, connection.DUPLICATE_PAUSE[1]))
        client.reconnect_delay_set(seconds, seconds)  # type: ignore[arg-type]


def _guarded(callback: Callable[..., None]) -> Callable[..., None]:
    """An exception on paho's thread would end it, silently and for ever."""

    def call(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:
            log.exception("mqtt: %s failed", callback.__name__)

    return call
