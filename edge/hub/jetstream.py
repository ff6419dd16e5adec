"""Events from a NATS JetStream stream, for a broker that bridges them into it, or a NATS server that is the broker.

NATS maps MQTT topics to subjects: ``edge/v1/porch/up/event/door`` is ``edge.v1.porch.up.event.door``. All ingests share
one durable pull consumer, so each event goes to one of them; events that are not acknowledged within ``ACK_SECONDS``
are delivered again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, TimeoutError  # noqa: A004
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from edge.core.credentials import masked_address
from edge.core.settings.address import SecretAddress
from edge.mqtt import topics
from edge.mqtt.subscriptions import Delivered, Incoming, Sink

log = logging.getLogger(__name__)

FETCH = 500
"""maximum messages per request"""
FETCH_SECONDS = 1.0
"""seconds that a request waits for messages"""
ACK_SECONDS = 30.0
"""seconds until an event that is not acknowledged is delivered again"""
MOST_PENDING = 20_000
"""events that are delivered and not acknowledged, of all ingests together"""
REPLICAS = (3, 1)
"""replicas of a stream that is created here: first attempt, and where the server is not a cluster"""
RETRY = (0.5, 30.0)
"""pause between two attempts (s): initial, maximum"""
BUSY_SECONDS = 0.05
"""seconds between two checks whether the sink accepts events again"""
STOP_SECONDS = 10.0
SUBJECT = topics.reports(kind="event").replace("/", ".").replace("+", "*")
"""subjects of the events of all devices"""


@dataclass(slots=True)
class StreamDelivered(Delivered):
    """An event that JetStream keeps until it is acknowledged."""

    receipt: Msg


class JetStreamSource:
    """Fetches events on a thread of its own, from ``start`` to ``stop``; reconnects automatically."""

    def __init__(self, address: SecretAddress, consumer: str, sink: Sink, ready: Callable[[], bool]) -> None:
        """``address``: ``nats://user:password@host:4222/STREAM``; ``consumer``: name of the durable consumer."""
        self._server, _, self._stream = address.get_secret_value().rpartition("/")
        self.name = masked_address(address.get_secret_value())
        self._consumer, self._sink, self._ready = consumer, sink, ready
        self._stopping = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="jetstream", daemon=True)
        self._failing = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def acknowledge(self, delivered: Sequence[Delivered]) -> None:
        receipts = [one.receipt for one in delivered if isinstance(one, StreamDelivered)]
        if receipts and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._acknowledge(receipts), self._loop)

    async def _acknowledge(self, receipts: Sequence[Msg]) -> None:
        try:
            for receipt in receipts:
                await receipt.ack()
        except Error as error:
            log.debug("ingest: %s: events are delivered again: %s", self.name, error)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._fetch_all())
        finally:
            self._loop.close()

    async def _fetch_all(self) -> None:
        pause = RETRY[0]
        while not self._stopping.is_set():
            client: Client | None = None
            try:
                client = await nats.connect(
                    self._server, allow_reconnect=False, connect_timeout=5, error_cb=_ignore, name=self._consumer
                )
                subscription = await self._subscribed(client.jetstream())
                self._recovered()
                pause = RETRY[0]
                await self._fetch(client, subscription)
            except (Error, OSError, asyncio.TimeoutError) as error:
                self._failed(error)
                await self._wait(pause)
                pause = min(RETRY[1], pause * 2)
            finally:
                if client is not None:
                    await _closed(client)

    async def _fetch(self, client: Client, subscription: JetStreamContext.PullSubscription) -> None:
        """Pass events to the sink until stopped, or the connection is lost."""
        while client.is_connected and not self._stopping.is_set():
            if not self._ready():
                await asyncio.sleep(BUSY_SECONDS)
                continue
            try:
                found = await subscription.fetch(FETCH, FETCH_SECONDS)
            except TimeoutError:
                continue
            self._sink([_delivered(one) for one in found])
        if self._stopping.is_set():
            await asyncio.sleep(0)
            await client.flush(2)  # acknowledgments of the last batch

    async def _subscribed(self, stream: JetStreamContext) -> JetStreamContext.PullSubscription:
        """A subscription of the shared consumer; creates missing streams and consumers."""
        try:
            await stream.stream_info(self._stream)
        except NotFoundError:
            await self._create(stream)
        config = ConsumerConfig(ack_wait=ACK_SECONDS, max_ack_pending=MOST_PENDING, max_deliver=-1)
        return await stream.pull_subscribe(SUBJECT, self._consumer, self._stream, config)

    async def _create(self, stream: JetStreamContext) -> None:
        for replicas in REPLICAS:
            config = StreamConfig(
                name=self._stream, subjects=[SUBJECT], num_replicas=replicas, storage=StorageType.FILE,
                retention=RetentionPolicy.WORK_QUEUE,
            )  # fmt: skip
            try:
                await stream.add_stream(config)
            except APIError:
                if replicas == REPLICAS[-1]:
                    raise
            else:
                log.info("ingest: created stream %s with %d replicas", self._stream, replicas)
                return

    async def _wait(self, seconds: float) -> None:
        await self._loop.run_in_executor(None, self._stopping.wait, seconds)

    def _failed(self, error: BaseException) -> None:
        level = logging.DEBUG if self._failing else logging.WARNING
        log.log(level, "ingest: %s is unreachable: %s; check hub.stream", self.name, error or type(error).__name__)
        self._failing = True

    def _recovered(self) -> None:
        log.info("ingest: fetching events from %s", self.name)
        self._failing = False


def _delivered(message: Msg) -> StreamDelivered:
    return StreamDelivered(Incoming(message.subject.replace(".", "/"), message.data), 0, 0, 0, message)


async def _closed(client: Client) -> None:
    try:
        await client.close()
    except (Error, OSError, asyncio.TimeoutError) as error:
        log.debug("ingest: closing the connection to NATS: %s", error)


async def _ignore(error: Exception) -> None:
    log.debug("ingest: NATS: %s", error)
