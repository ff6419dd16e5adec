"""The MQTT client: MQTT 5, or 3.1.1 where 5 is refused; it reconnects automatically and reports its state.

Two threads: paho's, on which our callbacks must not block or raise, and ``mqtt-work``, which calls handlers, publishes
birth and retained messages at each connect, and replaces paho's client when necessary.

The client is online once the broker has acknowledged the first publish of a connection: only then has paho queued all
unacknowledged publishes of the last connection before newer ones, so that order is kept across reconnects.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties

from edge.core.errors import SettingsError
from edge.core.settings.messaging import MqttSettings
from edge.core.system.heartbeat import Heartbeat
from edge.mqtt import connection
from edge.mqtt.bulk_connection import BulkConnection
from edge.mqtt.connection import BirthAndWill, BrokerLimits, ReasonCodes
from edge.mqtt.inflight import Ack, Acknowledged, InflightPublish, InflightPublishes
from edge.mqtt.link_state import REASON_HINTS, UNANSWERED, Link, LinkHealth, LinkState, of_connack, of_error
from edge.mqtt.messages import MAX_DOCUMENT, DeviceStatus, to_json
from edge.mqtt.subscriptions import Delivered, Handler, Sink, Subscriptions, read, understood
from edge.mqtt.topics import LONGEST, Topics

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""seconds between two checks of an unresponsive link"""
OVERHEAD = 64
"""maximum bytes of a publish in addition to its topic and payload"""


def of_device(settings: MqttSettings, device: str, session: int) -> MqttClient:
    """The client of a device, with its birth, will and offline message.

    ``session`` increases with each start of the daemon.
    """
    return MqttClient(settings, client_id(settings, device), presence(device, session))


def client_id(settings: MqttSettings, device: str) -> str:
    """The client id of a device."""
    return settings.client_id or f"edge-{device}"


def presence(device: str, session: int) -> BirthAndWill:
    """The birth, the will and the offline message of a device."""
    return BirthAndWill(
        topic=Topics(device).status,
        online=to_json(DeviceStatus(True, session)),
        stopped=to_json(DeviceStatus(False, session, "stopped")),
        lost=to_json(DeviceStatus(False, session, "lost")),
    )


class MqttClient:
    """``start`` never raises or blocks: broker, network and clock may all be unavailable."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        presence: BirthAndWill | None = None,
        *,
        sink: Sink | None = None,
        sink_ready: Callable[[], bool] = lambda: True,
        session_seconds: int = connection.SESSION_SECONDS,
    ) -> None:
        """``sink`` receives every message instead of the handlers, on paho's thread; it must not block.

        Each message must be passed to ``acknowledge``. While ``sink_ready`` returns False, nothing is read.

        ``session_seconds``: how long the broker keeps the session while the client is offline; MQTT 5 only.
        """
        self.on_online: list[Callable[[], None]] = []
        """called on the work thread after each connect"""
        self.work_pulse, self.network_pulse = Heartbeat(), Heartbeat()
        """heartbeat of the work thread; of paho's while connected, as connecting may wait for the resolver"""
        self._settings, self._client_id, self._presence = settings, client_id, presence
        self._sink, self._sink_ready, self._session_seconds = sink, sink_ready, session_seconds
        self._record, self._inbox, self._flights = LinkState(settings), Subscriptions(), InflightPublishes()
        self._paho: paho.Client | None = None
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        """guards retained messages and subscriptions; never held while paho is called: it holds its own in callbacks"""
        self._sending = threading.Lock()
        """serializes publishes, so that their order is the order of the calls"""
        self._retained: dict[str, bytes] = {}
        self._asked: dict[int, list[str]] = {}
        """unacknowledged subscriptions, by paho's message id"""
        self._early: dict[int, Any] = {}
        """reason codes of a SUBACK that came before ``subscribe`` had returned the message id on another thread"""
        self._online = False
        self._thread: threading.Thread | None = None

    @property
    def online(self) -> bool:
        """Whether the client is connected and the broker responds."""
        return self._online

    @property
    def connects(self) -> int:
        """Number of connections: when it changes, in-flight publishes may have been lost."""
        return self._record.connects

    @property
    def most_bytes(self) -> int:
        """Maximum payload of one message in bytes, with the longest topic."""
        return min(MAX_DOCUMENT, self._record.limits.packet - LONGEST - OVERHEAD)

    def health(self) -> LinkHealth:
        return self._record.health()

    @property
    def limits(self) -> BrokerLimits:
        """Limits of the broker on this connection."""
        return self._record.limits

    @property
    def not_granted(self) -> frozenset[str]:
        """Topic filters whose subscription the broker refused."""
        return self._record.not_granted

    def start(self) -> None:
        """Connect, and reconnect automatically until ``stop``."""
        if not self._settings.host or self._thread:
            return
        self._thread = threading.Thread(target=self._work, name="mqtt-work", daemon=True)
        self._tasks.put(self._replace)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> None:
        """Publish the offline message and disconnect; waits at most ``timeout`` seconds for the broker."""
        if self._thread is None:
            return
        self._say_offline(timeout)
        self._tasks.put(None)
        self._thread.join(timeout + 6)
        self._close()
        self._record.become(Link.STOPPED)

    def _say_offline(self, timeout: float) -> None:
        client, sent = self._paho, threading.Event()
        # even if not online: the broker may have the birth, and drops the will at a disconnect
        if self._presence is None or client is None or not client.is_connected():
            return
        with self._sending:
            self._send(client, self._presence.topic, self._presence.stopped, 1, True, acknowledged=lambda _: sent.set())
        sent.wait(timeout)

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish ``payload`` retained, now if online, and again at each connect; empty: remove it."""
        with self._lock:
            self._retained[topic] = payload
        if self._online:
            self.publish(topic, payload, retain=True)

    def subscribe(self, topic_filter: str, handler: Handler) -> None:
        """Call ``handler`` on the work thread for each matching message; subscribes again at each connect."""
        self._inbox.add(topic_filter, handler)
        if client := self._paho:
            # also before online: the connect may have read the filters already; subscribing twice is harmless
            self._ask(client, [understood(topic_filter, self._record.version)])

    def _ask(self, client: paho.Client, filters: list[str]) -> None:
        _, mid = client.subscribe([(topic_filter, min(1, self._record.limits.qos)) for topic_filter in filters])
        if mid is None:
            return
        with self._lock:
            codes = self._early.pop(mid, None)
            if codes is None:
                self._asked[mid] = filters
        if codes is not None:
            self._subscribed(client, filters, codes)

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
        probe: bool = False,
    ) -> bool:
        """Publish a message; False: not online, nothing was sent. ``expiry`` in seconds.

        True: ``acknowledged`` will be called once, on any thread, and must not block or publish. In-flight publishes
        are resent automatically after a lost link. Refusals of a ``probe`` are not counted.
        """
        limits = self._record.limits
        if reason := _too_large(topic, payload, limits):
            self._record.refused(topic, reason)
            if acknowledged:
                acknowledged(Ack(False, f"packet too large ({ReasonCodes.PACKET_TOO_LARGE})"))
            return True
        if retain and not payload and not limits.retain:
            return True  # there is nothing to delete
        properties = connection.publish_properties(self._record.version, expiry, response_topic, correlation)
        with self._sending:
            client = self._paho
            if not self._online or client is None:
                return False
            return self._send(client, topic, payload, qos, retain, properties, acknowledged, probe)

    def _send(
        self,
        client: paho.Client,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Properties | None = None,
        acknowledged: Acknowledged | None = None,
        probe: bool = False,
    ) -> bool:
        limits = self._record.limits
        qos, retain = min(qos, limits.qos), retain and limits.retain
        info = client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        # NO_CONN at QoS 1 means "queued": paho sends it later
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS and not (qos and info.rc == MQTTErrorCode.MQTT_ERR_NO_CONN):
            return False
        flight = InflightPublish(topic, qos, self._record.connects, retain, acknowledged, probe)
        if early := self._flights.take_off(info.mid, flight):
            self._landed(flight, early)
        return True

    def _landed(self, flight: InflightPublish, ack: Ack) -> None:
        if not ack.accepted and not ack.abandoned and not flight.probe:
            self._record.refused(flight.topic, ack.reason)
        if flight.retained and flight.connection != self._record.connects and not ack.abandoned:
            # paho resends in-flight publishes after the birth: an older value may be the retained one now
            self._tasks.put(lambda: self._say_again(flight.topic))
        if flight.acknowledged:
            flight.acknowledged(ack)

    def _say_again(self, topic: str) -> None:
        with self._lock:
            payload = self._retained.get(topic)
        if payload is not None:
            self.publish(topic, payload, retain=True)

    # the work thread

    def _work(self) -> None:
        while True:
            self.work_pulse.beat()
            try:
                task = self._tasks.get(timeout=LOOK_SECONDS)
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
        """Replace paho's client when the broker does not respond, or when its thread has died.

        A client whose thread has died reports itself as connected forever.
        """
        client, silent = self._paho, self._record.silent
        if client is not None and (why := self._record.overdue()):
            self._close()
            self._record.failed(Link.UNREACHABLE, why, UNANSWERED)
            self._record.asks_otherwise()
            self._record.disconnected()
            self._later(self._replace, self._record.pause())
        elif client is not None and self._online and silent > 3 * max(client.keepalive, 1):
            log.warning("mqtt: no packet for %.0f s on a connected link: reconnecting", silent)
            self._replace()

    def _replace(self) -> None:
        """Replace the paho client by a new one."""
        self.work_pulse.rest()  # paho's thread, which must end first, may be waiting for a resolver
        self._close()
        self.work_pulse.beat()
        try:
            client = connection.build(
                self._settings,
                self._client_id,
                self._record.version,
                self._presence,
                self._record.limits,
                BulkConnection if self._sink else None,
            )
            client.pulse = self.network_pulse
            self._listen(client)
            self._paho = client
            connection.connect(client, self._record.address, self._settings.keepalive, self._session_seconds)
        except (SettingsError, ValueError) as error:
            link = Link.UNTRUSTED if isinstance(error, SettingsError) else Link.UNREACHABLE
            self._record.failed(link, str(error))
            self._later(self._replace, self._record.pause())

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
        """Online: publish birth and retained messages, then notify listeners."""
        with self._lock:
            retained = list(self._retained.items())
        for topic, payload in retained:
            self.publish(topic, payload, retain=True)
        for listener in self.on_online:
            listener()

    # paho's thread: nothing here may block, and an exception would end it

    def _listen(self, client: paho.Client) -> None:
        client.on_connect = _guarded(self._on_connect)
        client.on_connect_fail = _guarded(self._on_connect_fail)
        client.on_disconnect = _guarded(self._on_disconnect)
        client.on_publish = _guarded(self._on_publish)
        client.on_message = _guarded(self._on_message)
        client.on_subscribe = _guarded(self._on_subscribe)
        client.on_log = _guarded(self._on_log)
        client.on_socket_open = _guarded(self._on_socket_open)
        if isinstance(client, BulkConnection):
            client.receive, client.ready = _guarded(self._receive), self._sink_ready

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, properties: Any) -> None:
        returns = not code.is_failure and self._record.returns_to_5()
        self._record.answered()
        if code.is_failure:
            self._not_wanted(client, code.value, str(code))
            return
        if returns:
            self._tasks.put(self._replace)
            return
        self._record.connected()
        if isinstance(client, BulkConnection):
            client.connection = self._record.connects
        self._obey(properties)
        if filters := self._inbox.filters(self._record.version):
            self._ask(client, filters)
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

    def _obey(self, properties: Any) -> None:
        """Apply the broker's limits. paho honors only the keep alive."""
        if self._record.version != "5":
            return
        before, self._record.limits = self._record.limits, BrokerLimits.stated(properties)
        if self._record.limits.inflight < before.inflight:
            self._tasks.put(self._replace)

    def _now_online(self, client: paho.Client) -> None:
        if client is not self._paho or self._online:
            return
        self._online = True
        self._record.online()
        self._tasks.put(self._arrived)

    def _not_wanted(self, client: paho.Client, code: int, text: str) -> None:
        link, _ = of_connack(code, text)
        if self._record.steps_down(link) or self._record.weakened(code):
            self._tasks.put(self._replace)
            return
        self._record.failed(link, f"the broker responded: {text}", REASON_HINTS.get(code, ""))
        self._wait_before_next(client)

    def _on_connect_fail(self, client: paho.Client, _data: Any) -> None:
        # paho calls this while handling the exception, but does not pass it
        self._record.unreached(*of_error(sys.exc_info()[1]))
        self._wait_before_next(client)

    def _on_disconnect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        was_online, self._online = self._online, False
        with self._lock:
            self._asked.clear()
            self._early.clear()
        self.network_pulse.rest()
        self._flights.lose_link()
        lived = self._record.disconnected()
        if client is not self._paho:
            return
        if lived is None:
            if self._record.unanswered():
                self._replace_later()
            self._wait_before_next(client)
            return
        self._record.lost(lived, code.value, str(code), was_online)
        if self._record.weakened(code.value):
            self._tasks.put(self._replace)
        elif was_online:
            if self._record.forget_limits():
                self._replace_later()
            self._wait_before_next(client)
        elif self._record.version == "3.1.1" and self._record.asks_otherwise():
            self._replace_later()
        else:
            self._wait_before_next(client)

    def _on_socket_open(self, client: paho.Client, data: object, sock: object) -> None:
        self._record.opened()
        connection.no_delay(client, data, sock)

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, code: Any, _properties: Any) -> None:
        ack = Ack(not code.is_failure, "" if not code.is_failure else str(code))
        self._record.heard()
        flight = self._flights.land(mid, ack)
        if flight is not None:
            self._landed(flight, ack)

    def _on_subscribe(self, client: paho.Client, _data: Any, mid: int, codes: Any, _properties: Any) -> None:
        with self._lock:
            filters = self._asked.pop(mid, None)
            if filters is None:
                self._early[mid] = codes
        if filters is not None:
            self._subscribed(client, filters, codes)

    def _subscribed(self, client: paho.Client, filters: list[str], codes: Any) -> None:
        """The broker granted or refused subscriptions."""
        answered = list(zip(filters, codes, strict=False))
        for topic_filter, code in answered:
            if code.is_failure:
                self._record.not_subscribed(topic_filter, str(code))
            else:
                self._record.subscribed(topic_filter)
        if refused := [topic_filter for topic_filter, code in answered if code.is_failure]:
            connection = self._record.connects
            self._later(lambda: self._ask_again(client, refused, connection), self._record.subscribe_pause())

    def _ask_again(self, client: paho.Client, filters: list[str], connection: int) -> None:
        """Request refused subscriptions again: a cluster that elects a leader refuses them for a moment."""
        if client is self._paho and connection == self._record.connects and client.is_connected():
            self._ask(client, filters)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._record.heard()
        incoming = read(message)
        if self._inbox.admit():
            self._tasks.put(lambda: self._inbox.handle(incoming))

    def _receive(self, delivered: Sequence[Delivered]) -> None:
        self._record.heard()
        assert self._sink is not None  # noqa: S101
        self._sink(delivered)

    def acknowledge(self, delivered: Sequence[Delivered]) -> None:
        """Acknowledge messages passed to the sink; those of an earlier connection are redelivered."""
        client = self._paho
        if isinstance(client, BulkConnection):
            client.acknowledge([one.mid for one in delivered if one.qos and one.connection == client.connection])

    def publish_many(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> bool:
        """Publish small messages (topic and payload) at QoS 0; only for a client with a sink.

        False: not online, nothing was sent.
        """
        with self._sending:
            client = self._paho
            if not self._online or not isinstance(client, BulkConnection):
                return False
            client.publish_many(messages, retain=retain and self._record.limits.retain)
            return True

    def _on_log(self, _client: paho.Client, _data: Any, _level: int, text: str) -> None:
        if text.startswith(("Received PINGRESP", "Received SUBACK")):
            self._record.heard()
        elif text.startswith("failed to receive"):
            self._record.was_reset()
        elif text.startswith("Caught exception"):
            log.error("mqtt: %s", text)

    def _replace_later(self) -> None:
        """Replace the client, as the next attempt uses other parameters."""
        self._tasks.put(self._close)
        self._later(self._replace, self._record.pause())

    def _wait_before_next(self, client: paho.Client) -> None:
        seconds = self._record.pause()
        client.reconnect_delay_set(seconds, seconds)  # type: ignore[arg-type]
        if (client.host, client.port) != (address := self._record.address):
            try:
                connection.redirect(client, address, self._settings.keepalive, self._session_seconds)
            except ValueError as error:
                self._record.failed(Link.UNREACHABLE, f"{address.host[:60]}: {error}")


def _too_large(topic: str, payload: bytes, limits: BrokerLimits) -> str:
    """Reason why a message exceeds the broker's or our size limit; empty where it does not."""
    size = len(payload) + len(topic.encode("utf-8", "replace")) + OVERHEAD
    if size > limits.packet:
        return f"the message has {len(payload)} bytes, the broker takes {limits.packet}"
    if len(payload) > MAX_DOCUMENT:
        return f"the message has {len(payload)} bytes, edge sends at most {MAX_DOCUMENT}"
    return ""


def _guarded(callback: Callable[..., None]) -> Callable[..., None]:
    """Catch and log exceptions, which would end paho's thread silently."""

    def call(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:
            log.exception("mqtt: %s failed", callback.__name__)

    return call
