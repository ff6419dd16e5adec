"""From the broker into the store: what arrives is stored, then acknowledged, then the device is told how far.

The broker keeps a message until it is stored (manual acknowledgement), and the device keeps its event until the mark
has passed it, so neither may fail alone and lose anything. paho's thread only queues; one thread stores, in batches.
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
from edge.hub.erasure import FleetErasure, Published
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
"""documents: the latest of each device is kept; who was forgotten is acted on"""


@dataclass(frozen=True, slots=True)
class EventKey:
    """The key of an event that cannot be read otherwise; such an event is stored as it came."""

    device: Annotated[str, Field(pattern=DEVICE_NAME)]
    epoch: Annotated[StrictInt, Field(ge=1, lt=2**31)]
    seq: Annotated[StrictInt, Field(ge=1, le=2**53)]
    after: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None


def event_of(address: Address, payload: bytes) -> Arrived:
    """The event, or its key alone. Raises InputError for one that its topic does not vouch for."""
    event: WireEvent | None = None
    problem = ""
    try:
        event = parse(WireEvent, payload)
        key = EventKey(event.device, event.epoch, event.seq, event.after)
    except InputError as error:
        problem, key = error.message, parse(EventKey, payload)
    if key.device != address.device or (event and event.camera != address.name):
        # the broker's ACL vouches for the topic, nobody for what is written inside
        raise InputError(f"the event says that it is of {key.device}", "look for a stolen or misconfigured device")
    text = payload.decode("utf-8", "replace")
    return Arrived(key.device, key.epoch, key.seq, key.after, text, event, problem)


log = logging.getLogger(__name__)

CAMERAS = 50_000
"""topics that are remembered as they were taken apart"""
BATCH = 1000
"""messages of one transaction, at most"""
GATHER = 0.02
"""seconds that a message waits for others to share its transaction with"""
WAITING = 20_000
"""messages that wait here before no more are read; a broker of MQTT 5 keeps to far fewer by itself"""
IDLE = 0.5
"""seconds that an empty ingest waits before it looks after its other work"""
RETRY = (0.5, 30.0)
"""seconds between two attempts at a database that refuses: at first, and at most"""
GREETINGS = 50
"""at once: a fleet must not send all it has in the same moment"""
NOTHING = DeliveryMark(1, 0)
FORGET_SECONDS = 3600.0


@dataclass(slots=True)
class Counts:
    """What an ingest has done since its start."""

    received: int = 0
    """events, duplicates included"""
    stored: int = 0
    """events that were new"""
    refused: int = 0
    """messages that were no event or document of their topic"""
    retries: int = 0
    """transactions that the database refused"""
    marks: int = 0
    """answers to devices"""


class Ingest:
    """Runs from ``start`` to ``stop``. Several may run at one broker and one database; each needs its own name."""

    def __init__(
        self, mqtt: MqttSettings, hub: HubSettings, store: EventStore, published: Published | None = None
    ) -> None:
        self.counts = Counts()
        self._hub, self._store = hub, store
        self._forgetting = FleetErasure(hub, store, published)
        self._erasure_notices: dict[str, ErasureNotices] = {}
        """of devices that have forgotten somebody"""
        self._queue: queue.SimpleQueue[Sequence[Delivered]] = queue.SimpleQueue()
        self._rest: deque[Delivered] = deque()
        """messages that came beside those of the last batch"""
        self._taken = self._gathered = 0
        """messages: each is written by one thread"""
        self._dirty: dict[Epoch, int] = {}
        """marks that were not published yet"""
        self._sessions: dict[str, int] = {}
        self._greet: dict[str, None] = {}
        """devices to be told that a hub is there"""
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
        self.client.subscribe(f"{share}{topics.reports(kind='event')}", _nobody)
        for kind in KINDS:
            self.client.subscribe(topics.reports(kind=kind), _nobody)
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self) -> None:
        """Begin. Neither raises nor waits: the broker and the database may both be away."""
        self._thread.start()
        self.client.start()

    def stop(self) -> None:
        """Store what has arrived, and stop; what could not be stored stays with the broker and the devices."""
        self._stopping.set()
        self._thread.join(10)
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
        """What has arrived, a batch at most; waits a moment for it."""
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
        """Store ``batch`` however long it takes; False: told to stop before it was stored."""
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
            log.info("ingest: the database takes events again, after %d attempts", failures)
        self.client.acknowledge(batch)
        return True

    def _store_batch(self, arrived: Sequence[Arrived], documents: Sequence[Document]) -> None:
        try:
            stored = self._store.add(arrived, documents)
        except InputError as error:
            if len(arrived) + len(documents) <= 1:
                log.error("ingest: a message cannot be stored and is dropped: %s", error)
                self.counts.refused += 1
                return
            # one of them is refused: the others are stored one by one
            for event in arrived:
                self._store_batch([event], [])
            for document in documents:
                self._store_batch([], [document])
            return
        self.counts.stored += stored.new
        self._dirty.update(stored.marks)

    def _forget_with_devices(self) -> None:
        while self._erasure_notices:
            device, said = next(iter(self._erasure_notices.items()))
            try:
                self._forgetting.told(device, said)
            except TransientError:
                raise
            except EdgeError as error:
                # the device says it again at the next connect; events must not wait for it
                log.error("ingest: what %s forgot cannot be forgotten here: %s", device, error)
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
                return None  # the will of a connection that has a successor
            self._sessions[address.device] = document.session
            if document.online:
                self._greet[address.device] = None
        return Document(address.device, address.kind, payload.decode("utf-8", "replace"), time.time())

    def _publish_marks(self) -> None:
        for epoch, mark in list(self._dirty.items()):
            device, number = epoch
            # QoS 0: a mark that is lost is said again when the device sends again
            if not self.client.publish(Topics(device).ack, to_json(DeliveryMark(number, mark)), qos=0, retain=True):
                return
            self.counts.marks += 1
            del self._dirty[epoch]

    def _publish_greetings(self) -> None:
        """A device that has waited long for a hub tries ever more rarely; this mark, of nothing, ends its patience."""
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
            log.warning("ingest: old events could not be deleted: %s", error)
            return
        if gone:
            log.info("ingest: deleted %d events older than %g days", gone, self._hub.keep_days)


_address = lru_cache(CAMERAS)(topics.parse)
"""the same few topics come again and again"""


def _nobody(_message: Incoming) -> None:
    """The sink has the message."""
