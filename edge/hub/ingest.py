"""Ingest: stores messages from the broker, acknowledges them, then publishes delivery marks to the devices.

The broker keeps a message until it is stored (manual acknowledgment), and the device keeps an event until the delivery
mark has passed it, so no single failure loses events. paho's thread only queues; one thread stores, in batches.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import Field, StrictInt

from edge.core.errors import EdgeError, InputError, TransientError
from edge.core.settings.base import DEVICE_NAME
from edge.core.settings.messaging import HubSettings, MqttSettings
from edge.hub import event_source
from edge.hub.erasure import FleetErasure, Published, Questions
from edge.hub.store import Arrived, Document, Epoch, EventStore
from edge.mqtt import topics
from edge.mqtt.client import MqttClient
from edge.mqtt.messages import (
    DeliveryMark,
    DeviceStatus,
    ErasureNotices,
    Info,
    Reported,
    Stats,
    WireEvent,
    mark_json,
    parse,
    to_json,
)
from edge.mqtt.subscriptions import Delivered, Incoming
from edge.mqtt.topics import Address, Topics

KINDS: dict[str, type[DeviceStatus | Info | Stats | Reported | ErasureNotices]] = {
    "status": DeviceStatus,
    "info": Info,
    "stats": Stats,
    "reported": Reported,
    "forgotten": ErasureNotices,
}
"""kinds of documents: the latest of each device is stored, except erasure notices, which are carried out"""


@dataclass(frozen=True, slots=True)
class EventKey:
    """The key of an event that is otherwise invalid; such an event is stored as received."""

    device: Annotated[str, Field(pattern=DEVICE_NAME)]
    epoch: Annotated[StrictInt, Field(ge=1, lt=2**31)]
    seq: Annotated[StrictInt, Field(ge=1, le=2**53)]
    after: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None


def event_of(address: Address, payload: bytes) -> Arrived:
    """Parse an event; only its key where the rest is invalid.

    Raises InputError where the key is invalid, or where device or camera differ from those of the topic.
    """
    key: WireEvent | EventKey
    problem = ""
    try:
        key = parse(WireEvent, payload)
    except InputError as error:
        problem, key = error.message, parse(EventKey, payload)
    event = key if isinstance(key, WireEvent) else None
    if key.device != address.device or (event and event.camera != address.name):
        # the broker's ACL authenticates the topic, not the payload
        raise InputError(
            f"the payload names device {key.device}, expected that of the topic",
            "check for a misconfigured or stolen device",
        )
    text = payload.decode("utf-8", "replace")
    return Arrived(key.device, key.epoch, key.seq, key.after, text, event, problem)


log = logging.getLogger(__name__)

CAMERAS, DEVICES = 50_000, 20_000
"""entries of the caches of topics"""
BATCH = 1000
"""maximum messages per transaction"""
GATHER = 0.1
"""seconds to wait for more messages before a batch is stored; transactions of few messages cost most of the CPU time"""
WAITING = 20_000
"""queued messages above which reading from the socket pauses; MQTT 5 receive maximum limits it to fewer"""
IDLE = 0.5
"""seconds to wait for a message before periodic work runs"""
RETRY = (0.5, 30.0)
"""backoff between two attempts to store a batch (s): initial, maximum"""
GREETINGS = 50
"""hub announcements per cycle, so that a fleet does not send its backlog all at once"""
NOTHING = DeliveryMark(1, 0)
FORGET_SECONDS = 3600.0


@dataclass(slots=True)
class Counts:
    """Counters of an ingest since its start."""

    received: int = 0
    """events, duplicates included"""
    stored: int = 0
    """events that were new"""
    refused: int = 0
    """invalid messages, and messages that the database rejected"""
    retries: int = 0
    """failed attempts to store a batch"""
    marks: int = 0
    """delivery marks published to devices"""


class Ingest:
    """Runs from ``start`` to ``stop``. Several can share a broker and a database; each needs its own ``hub.name``."""

    def __init__(
        self, mqtt: MqttSettings, hub: HubSettings, store: EventStore, published: Published | None = None,
        questions: Questions | None = None,
    ) -> None:  # fmt: skip
        self.counts = Counts()
        self._hub, self._store = hub, store
        self._forgetting = FleetErasure(hub, store, published, questions)
        self._erasure_notices: dict[str, ErasureNotices] = {}
        """device -> erasure notices to carry out"""
        self._queue: queue.SimpleQueue[Sequence[Delivered]] = queue.SimpleQueue()
        self._rest: deque[Delivered] = deque()
        """messages taken from the queue that did not fit into the last batch"""
        self._taken = self._gathered = 0
        """counts of messages; each has a single writer thread"""
        self._dirty: dict[Epoch, int] = {}
        """marks that are not published yet"""
        self._sessions: dict[str, int] = {}
        self._greet: dict[str, None] = {}
        """devices that came online, to which the hub announces itself"""
        self._stopping = threading.Event()
        self._next_forget = time.monotonic()
        self.client = MqttClient(
            mqtt,
            f"edge-hub-{hub.name}",
            sink=self._take,
            sink_ready=self._has_room,
            session_seconds=hub.session_seconds,
        )
        share = f"$share/{hub.group}/" if hub.group else ""
        self.source = event_source.of_settings(hub, self._take, self._has_room)
        """source of events beside the broker; None: they come from the broker"""
        if self.source is None:
            self.client.subscribe(f"{share}{topics.reports(kind='event')}", _nobody)
        for kind in KINDS:
            self.client.subscribe(topics.reports(kind=kind), _nobody)
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self) -> None:
        """Start. Does not raise or block: broker and database may both be unreachable."""
        self._thread.start()
        self.client.start()
        if self.source:
            self.source.start()

    def stop(self) -> None:
        """Store the queued messages and stop. Messages that cannot be stored stay at the broker and the devices."""
        self._stopping.set()
        self._thread.join(10)
        if self.source:
            self.source.stop()
        self.client.stop()
        self._store.database.close()

    def _take(self, delivered: Sequence[Delivered]) -> None:
        self._taken += len(delivered)
        self._queue.put(delivered)

    def _has_room(self) -> bool:
        return self._taken - self._gathered < WAITING

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty() and not self._rest):
            batch = self._gather()
            if batch and not self._keep(batch):
                return
            self._publish_marks()
            self._publish_greetings()
            self._forget()

    def _gather(self) -> list[Delivered]:
        """The next batch of queued messages; empty after IDLE seconds without one."""
        until = time.monotonic() + (GATHER if self._rest else IDLE)
        while len(self._rest) < BATCH:
            before = len(self._rest)
            try:
                self._rest.extend(self._queue.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
            if not before:
                until = time.monotonic() + GATHER
        batch = [self._rest.popleft() for _ in range(min(BATCH, len(self._rest)))]
        self._gathered += len(batch)
        return batch

    def _keep(self, batch: Sequence[Delivered]) -> bool:
        """Store ``batch``, with retries until it succeeds. Returns False if stopped before."""
        arrived, documents = self._read(batch)
        self.counts.received += len(arrived)
        failures = 0
        while True:
            try:
                self._store_batch(self._forgetting.cleansed(arrived), documents)
                self._forget_with_devices()
                break
            except TransientError as error:
                self.counts.retries += 1
                log.log(logging.DEBUG if failures else logging.WARNING, "ingest: %s", error)
                failures += 1
                if self._stopping.wait(min(RETRY[1], RETRY[0] * 2**failures)):
                    return False
        if failures:
            log.info("ingest: database recovered after %d failed attempts", failures)
        self.client.acknowledge(batch)
        if self.source:
            self.source.acknowledge(batch)
        return True

    def _store_batch(self, arrived: Sequence[Arrived], documents: Sequence[Document]) -> None:
        try:
            stored = self._store.add(arrived, documents)
        except InputError as error:
            if len(arrived) + len(documents) <= 1:
                log.error("ingest: invalid message dropped: %s", error)
                self.counts.refused += 1
                return
            # the database rejected the batch: store its messages one by one
            for event in arrived:
                self._store_batch([event], [])
            for document in documents:
                self._store_batch([], [document])
            return
        self.counts.stored += stored.new
        self._dirty.update(stored.marks)

    def _forget_with_devices(self) -> None:
        while self._erasure_notices:
            device, notices = next(iter(self._erasure_notices.items()))
            try:
                self._forgetting.told(device, notices)
            except TransientError:
                raise
            except EdgeError as error:
                # the device publishes its notices again at the next connect; events must not wait for it
                log.error("ingest: erasure notice of %s failed: %s", device, error)
            del self._erasure_notices[device]

    def _read(self, batch: Sequence[Delivered]) -> tuple[list[Arrived], list[Document]]:
        arrived: list[Arrived] = []
        documents: list[Document] = []
        for one in batch:
            try:
                address = _address(one.message.topic)
                if address.kind == "event":
                    arrived.append(event_of(address, one.message.payload))
                elif document := self._document(address, one.message.payload):
                    documents.append(document)
            except InputError as error:
                self.counts.refused += 1
                level = logging.WARNING if self.counts.refused <= 10 else logging.DEBUG
                log.log(level, "ingest: refused %s: %s", one.message.topic[:200], error.message)
        return arrived, documents

    def _document(self, address: Address, payload: bytes) -> Document | None:
        if not payload:
            return None
        document: object = parse(KINDS[address.kind], payload)
        if isinstance(document, ErasureNotices):
            self._erasure_notices[address.device] = document
            return None
        if isinstance(document, DeviceStatus):
            if not document.online and document.session < self._sessions.get(address.device, 0):
                return None  # the will of an earlier connection
            self._sessions[address.device] = document.session
            if document.online:
                self._greet[address.device] = None
        return Document(address.device, address.kind, payload.decode("utf-8", "replace"), time.time())

    def _publish_marks(self) -> None:
        # QoS 0: a lost mark is published again when the device resends
        marks = [(_ack_topic(device), mark_json(epoch, seq)) for (device, epoch), seq in self._dirty.items()]
        if marks and self.client.publish_many(marks, retain=True):
            self.counts.marks += len(marks)
            self._dirty.clear()

    def _publish_greetings(self) -> None:
        """Publish an empty mark to devices that came online: it resets the backoff of a device that waits for a hub."""
        for device in list(self._greet)[:GREETINGS]:
            if not self.client.publish(Topics(device).ack, to_json(NOTHING), qos=0):
                return
            del self._greet[device]

    def _forget(self) -> None:
        if not self._hub.keep_days or time.monotonic() < self._next_forget:
            return
        self._next_forget = time.monotonic() + FORGET_SECONDS
        try:
            gone = self._store.forget_before(time.time() - self._hub.keep_days * 86400)
        except (TransientError, InputError) as error:
            log.warning("ingest: cannot delete old events: %s", error)
            return
        if gone:
            log.info("ingest: deleted %d events older than %g days", gone, self._hub.keep_days)


_address = lru_cache(CAMERAS)(topics.parse)
"""cached: a fleet publishes on few topics"""


@lru_cache(DEVICES)
def _ack_topic(device: str) -> str:
    return Topics(device).ack


def _nobody(_message: Incoming) -> None:
    """Handler of subscriptions whose messages go to the sink."""
