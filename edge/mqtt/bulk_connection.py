"""A paho client for receivers of many messages: it reads all available data at once, and acknowledges in bulk.

paho needs three or more system calls per packet and creates an object with properties for each message; at thousands of
messages per second that is most of the work. Here a PUBLISH of QoS 0 or 1 is parsed in place (MQTT 5, section 3.3);
paho handles all other packets, connecting, keep alive and sending. paho has no public way to queue raw
packets, to handle a packet read elsewhere, or to record the time of a received packet: ``_packet_queue``,
``_packet_handle`` with ``_in_packet``, ``_loop_rc_handle`` and ``_last_msg_in`` are private members of paho 2.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from edge.mqtt import packets
from edge.mqtt.connection import BrokerConnection
from edge.mqtt.subscriptions import Delivered, Incoming

log = logging.getLogger(__name__)

RECEIVE = 5000
"""receive maximum: one batch is stored while the next arrives"""
READ = 256 << 10
"""bytes read at a time"""
READS = 4
"""consecutive reads before the messages are passed on"""
BUSY_SECONDS = 0.02
"""seconds between two checks whether the receiver accepts messages again"""
PUBLISH, PUBACK, QOS = 0x30, 0x40, 0x06
"""bits of the first byte of a packet"""


class BulkConnection(BrokerConnection):
    """``receive`` is called on paho's thread with all messages of one read; it must not block.

    While ``ready`` returns False, nothing is read, so that TCP flow control slows the broker down.
    """

    receive: Callable[[Sequence[Delivered]], None]
    ready: Callable[[], bool]
    receive_maximum = RECEIVE
    connection = 0
    """number of the connection, passed with each message"""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unread = bytearray()

    def reconnect(self) -> MQTTErrorCode:
        self._unread.clear()
        return super().reconnect()

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Acknowledge the messages with these ids (QoS 1)."""
        if mids:
            self._packet_queue(PUBACK, packets.pubacks(mids), 0, 0)

    def publish_many(self, messages: Sequence[tuple[str, bytes]], *, retain: bool) -> None:
        """Publish messages (topic and payload) at QoS 0."""
        modern = self.protocol == MQTTProtocolVersion.MQTTv5
        found = (packets.publish(topic.encode(), data, retain=retain, modern=modern) for topic, data in messages)
        # as a PUBACK: after a PUBLISH paho would look for its own record of it
        self._packet_queue(PUBACK, b"".join(found), 0, 0)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 - paho's signature
        """Called by paho when data has arrived."""
        if self.socket() is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        with self._msgtime_mutex:
            self._last_msg_in = time.monotonic()
        if not self.ready():
            time.sleep(BUSY_SECONDS)
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        ended = self._fill()
        found: list[Delivered] = []
        try:
            code = self._handle(found)
        except (IndexError, UnicodeDecodeError):
            code = MQTTErrorCode.MQTT_ERR_PROTOCOL
        if found:
            self.receive(found)
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and ended:
            code = MQTTErrorCode.MQTT_ERR_CONN_LOST
        return code if code == MQTTErrorCode.MQTT_ERR_SUCCESS else self._loop_rc_handle(code)

    def _fill(self) -> bool:
        """Read available data; True where the connection has ended."""
        for _ in range(READS):
            connected = self.socket()
            if connected is None:
                return True
            try:
                data = connected.recv(READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            except OSError as error:
                log.debug("mqtt: reading failed: %s", error)
                return True
            if not data:
                return True
            self._unread += data
            if len(data) < READ:
                return False
        return False

    def _handle(self, found: list[Delivered]) -> MQTTErrorCode:
        """Parse all complete packets; append messages to ``found``."""
        buffer = self._unread
        start, size, code = 0, len(buffer), MQTTErrorCode.MQTT_ERR_SUCCESS
        while size - start >= 2 and code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            length, shift, at = 0, 0, start + 1
            while at < size:
                byte = buffer[at]
                at += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
                if shift > 21:
                    return MQTTErrorCode.MQTT_ERR_PROTOCOL
            else:
                break
            end = at + length
            if end > size:
                break
            head = buffer[start]
            if head & 0xF0 == PUBLISH and head & QOS < 4:
                found.append(self._message(head, buffer, at, end))
            else:
                code = self._by_paho(head, buffer[at:end])
            start = end
        del buffer[:start]
        return code

    def _message(self, head: int, buffer: bytearray, at: int, end: int) -> Delivered:
        topic_end = at + 2 + (buffer[at] << 8 | buffer[at + 1])
        topic, at, mid, qos = buffer[at + 2 : topic_end].decode(), topic_end, 0, head >> 1 & 3
        if qos:
            mid, at = buffer[at] << 8 | buffer[at + 1], at + 2
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            length, shift = 0, 0
            while True:
                byte = buffer[at]
                at += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            at += length
        if at > end:
            raise IndexError("a PUBLISH is longer than its packet")
        return Delivered(Incoming(topic, bytes(buffer[at:end]), bool(head & 1)), mid, qos, self.connection)

    def _by_paho(self, head: int, body: bytearray) -> MQTTErrorCode:
        packet = {"remaining_count": [], "remaining_mult": 1, "remaining_length": len(body), "to_process": 0, "pos": 0}
        self._in_packet = {"command": head, "have_remaining": 1, "packet": body, **packet}  # type: ignore[typeddict-item]
        try:
            return self._packet_handle()
        finally:
            self._in_packet = {"command": 0, "have_remaining": 0, "packet": bytearray(b""), **packet}  # type: ignore[typeddict-item]
