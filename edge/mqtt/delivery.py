"""Delivery of events from the outbox to the broker: one thread, at least once, in order per track.

Two queues. Events added while online are *live* and sent at once. Events that waited before are the *backlog*, sent in
parallel at a limited rate, so that a day offline does not delay current events. Order: each queue is sent in the order
of the outbox, and a live event is preceded by the waiting events of its track. The events of a track therefore always
arrive in order, those of a camera except that live events overtake the backlog; receivers can sort by ``seq``.

An event leaves the outbox when the broker acknowledged it (``broker``), or when the hub's contiguous mark has passed
it (``hub``). Refused events stay; their camera pauses and then starts again with the oldest.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge.core.errors import InputError
from edge.core.system.heartbeat import Heartbeat
from edge.core.types import Queued
from edge.mqtt.inflight import Ack
from edge.mqtt.messages import DeliveryMark, event_json, parse
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import Topics

if TYPE_CHECKING:
    from edge.mqtt.client import MqttClient
    from edge.mqtt.outbox.outbox import Outbox

log = logging.getLogger(__name__)

Key = tuple[int, int]
"""epoch, seq"""

ON_THE_WAY = 20
"""events in flight, live and backlog"""
BACKLOG_SHARE = 16
"""of these, maximum for the backlog: live events always have room"""
WINDOW = 200
"""unmarked events in flight while the hub makes no progress"""
BACKLOG_RATE = 1000.0
"""events per second"""
PAGE = 100
"""events of the backlog read at once"""
BURST = 100
"""burst size of the backlog after a pause, in events"""
RESEND = (10.0, 600.0)
"""seconds without progress of the hub until unmarked events are resent: first, and maximum"""
ANSWER = 120.0
"""seconds online without any acknowledgment after which events are resent"""
REST = (30.0, 600.0)
"""pause of a camera in seconds after a refusal: first, and maximum"""
OFFLINE = 5.0
"""seconds offline after which updates of one track replace each other"""


@dataclass(frozen=True, slots=True)
class DeliveryStats:
    """Statistics of delivery."""

    sent: int
    """publishes of events, including resent ones"""
    delivered: int
    """events that left the outbox"""
    on_the_way: int
    unmarked: int
    """events that the broker has acknowledged and the hub's mark has not passed"""
    refused: int
    resends: int
    resting: tuple[str, ...]
    """cameras whose events the broker refuses"""


class Delivery:
    """Runs from ``start`` to ``stop``; undelivered events stay in the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        client: MqttClient,
        device: str,
        acknowledge: Literal["broker", "hub"] = "broker",
    ) -> None:
        self.pulse = Heartbeat()
        self._outbox, self._client, self._topics = outbox, client, Topics(device)
        self._hub = acknowledge == "hub"
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """calls from other threads, run on the delivery thread"""
        self._wake = threading.Event()
        self._stopping = False
        self._connection = self._generation = -1
        self._backlog = self._split = self._live = 0
        """positions: last sent of the backlog; end of the backlog; last sent of the live events"""
        self._page: deque[Queued] = deque()
        """read from the backlog, not yet sent"""
        self._on_the_way: dict[Key, bool] = {}
        """sent and unacknowledged -> whether it was backlog"""
        self._unmarked: dict[Key, bool] = {}
        """acknowledged by the broker, not yet marked by the hub -> whether it was backlog"""
        self._marks: dict[int, int] = {}
        """epoch -> the hub's mark; it may arrive before the broker's acknowledgment"""
        self._resting: dict[str, tuple[float, float]] = {}
        """camera -> monotonic time of its next attempt, and the length of its pause (s)"""
        self._progress, self._resend = time.monotonic(), RESEND[0]
        self._answer = time.monotonic()
        self._tokens, self._filled = float(BURST), time.monotonic()
        self._online_at = time.monotonic()
        self._sent = self._delivered = self._refused = self._resends = 0
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        self._outbox.changed.append(self._wake.set)
        self._client.on_online.append(self._wake.set)
        if self._hub:
            self._client.subscribe(self._topics.ack, self._on_mark)
        self._thread.start()

    def stop(self, timeout: float = 0.0) -> None:
        """Stop; waits up to ``timeout`` seconds for waiting events to be sent while online."""
        until = time.monotonic() + timeout
        while self._client.online and not self._idle() and time.monotonic() < until:
            time.sleep(0.02)
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def stats(self) -> DeliveryStats:
        return DeliveryStats(
            sent=self._sent,
            delivered=self._delivered,
            on_the_way=len(self._on_the_way),
            unmarked=len(self._unmarked),
            refused=self._refused,
            resends=self._resends,
            resting=tuple(self._resting),
        )

    def _idle(self) -> bool:
        return not self._on_the_way and self._backlog >= self._split and self._live >= self._outbox.last

    # other threads

    def _on_ack(self, queued: Queued, ack: Ack) -> None:
        self._calls.put(lambda: self._answered(queued, ack))
        self._wake.set()

    def _on_mark(self, message: Incoming) -> None:
        try:
            mark = parse(DeliveryMark, message.payload)
        except InputError as error:
            log.warning("delivery: not a mark of the hub: %s", error.message)
            return
        self._calls.put(lambda: self._marked(mark))
        self._wake.set()

    # our thread

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping:
            self.pulse.beat()
            self._wake.wait(pause)
            self._wake.clear()
            try:
                pause = self._step(time.monotonic())
            except Exception:
                log.exception("delivery: a step failed; the events are safe")
                pause = 1.0
        self.pulse.rest()

    def _step(self, now: float) -> float:
        """Run one step; returns the seconds until the next one."""
        while not self._calls.empty():
            self._calls.get()()
        if not self._client.online:
            self._outbox.coalesce = now - self._online_at > OFFLINE
            self._answer = now
            return 1.0
        self._online_at, self._outbox.coalesce = now, False
        if (self._client.connects, self._outbox.generation) != (self._connection, self._generation):
            self._connection, self._generation = self._client.connects, self._outbox.generation
            self._rewind(now)
        self._look_at_clocks(now)
        self._send_live(now)
        return self._send_backlog(now)

    def _rewind(self, now: float) -> None:
        """Start again with the oldest; in-flight events are not sent twice, as paho keeps them."""
        self._backlog, self._split = 0, self._outbox.last
        self._live = self._split
        self._page.clear()
        self._unmarked.clear()
        self._progress = now

    def _look_at_clocks(self, now: float) -> None:
        rested = [camera for camera, (until, _) in self._resting.items() if until and now >= until]
        for camera in rested:
            self._resting[camera] = (0.0, self._resting[camera][1])
        stalled = self._unmarked and now - self._progress > self._resend
        if stalled:
            log.warning("delivery: the hub has not acknowledged for %.0f s: resending", self._resend)
            self._resends += 1
            self._resend = min(self._resend * 2, RESEND[1])
        if silent := bool(self._on_the_way) and now - self._answer > ANSWER:
            log.warning("delivery: no acknowledgment from the broker for %.0f s: resending", ANSWER)
            self._on_the_way.clear()
            self._answer = now
        if rested or stalled or silent:
            self._rewind(now)

    def _without(self) -> list[str]:
        return [camera for camera, (until, _) in self._resting.items() if until]

    def _send_live(self, now: float) -> None:
        while self._live < (last := self._outbox.last) and self._has_room(now):
            page = self._outbox.read(self._live, ON_THE_WAY - len(self._on_the_way), self._without())
            if not page:
                self._live = last  # later events were not read
                continue
            for item in page:
                if not self._has_room(now) or not self._send_with_its_track(item):
                    return
                self._live = item.position

    def _has_room(self, now: float) -> bool:
        stalled = len(self._unmarked) >= WINDOW and now - self._progress > 3 * RESEND[0]
        return len(self._on_the_way) < ON_THE_WAY and not stalled

    def _send_with_its_track(self, item: Queued) -> bool:
        """Send a live event, preceded by the events of its track in the backlog."""
        if self._backlog < self._split:
            for older in self._outbox.of_track(item.event.camera, item.event.track, item.position):
                if not self._send(older, backlog=True):
                    return False
        return self._send(item, backlog=False)

    def _send_backlog(self, now: float) -> float:
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) * BACKLOG_RATE)
        self._filled = now
        while self._backlog < self._split:
            room = self._backlog_room()
            if room <= 0:
                return 0.02 if self._tokens < 1 else 1.0
            if not self._page:
                self._page.extend(self._outbox.read(self._backlog, PAGE, self._without()))
            if not self._page or self._page[0].position > self._split:
                self._backlog = self._split
                break
            if not self._send(self._page[0], backlog=True):
                break
            self._backlog = self._page.popleft().position
            self._tokens -= 1
        return 1.0

    def _backlog_room(self) -> int:
        on_the_way = sum(self._on_the_way.values())
        room = min(BACKLOG_SHARE - on_the_way, ON_THE_WAY - len(self._on_the_way), int(self._tokens))
        return min(room, WINDOW - sum(self._unmarked.values()) - on_the_way) if self._hub else room

    def _send(self, item: Queued, *, backlog: bool) -> bool:
        """Publish one event, unless the broker has it already. False: offline."""
        if item.key in self._on_the_way or item.key in self._unmarked:
            return True
        try:
            topic = self._topics.event(item.event.camera)
            payload = event_json(self._topics.device, item, with_after=self._hub)
        except InputError as error:
            log.error("delivery: event %s cannot be sent and is dropped: %s", item.key, error.message)
            self._outbox.done([item.key])
            return True
        if not self._on_the_way:
            self._answer = time.monotonic()
        self._on_the_way[item.key] = backlog
        if not self._client.publish(topic, payload, acknowledged=lambda ack: self._on_ack(item, ack)):
            del self._on_the_way[item.key]
            return False
        self._sent += 1
        return True

    def _answered(self, item: Queued, ack: Ack) -> None:
        backlog = self._on_the_way.pop(item.key, False)
        self._answer = time.monotonic()
        if ack.abandoned:
            self._connection = -1
        elif not ack.accepted:
            self._rest(item.event.camera, ack.reason)
        elif self._hub and item.seq > self._marks.get(item.epoch, 0):
            self._unmarked[item.key] = backlog
        elif self._hub:
            self._delivered += 1
        else:
            self._delivered += 1
            self._outbox.done([item.key])
        if ack.accepted:
            self._resting.pop(item.event.camera, None)

    def _rest(self, camera: str, reason: str) -> None:
        self._refused += 1
        until, rested = self._resting.get(camera, (0.0, 0.0))
        if until:
            return
        seconds = min(rested * 2, REST[1]) if rested else REST[0]
        level = logging.DEBUG if rested else logging.WARNING
        log.log(level, "delivery: the broker refuses events of camera %s (%s): they stay in the outbox", camera, reason)
        self._resting[camera] = (time.monotonic() + seconds, seconds)
        self._page.clear()

    def _marked(self, mark: DeliveryMark) -> None:
        if not self._outbox.passed(mark.epoch, mark.seq):
            log.warning("delivery: the hub's mark %d/%d is beyond the last sent event", mark.epoch, mark.seq)
            return
        # the hub is online again: resend without waiting for the end of the pause
        self._resend = RESEND[0]
        self._marks[mark.epoch] = max(mark.seq, self._marks.get(mark.epoch, 0))
        passed = [key for key in self._unmarked if key[0] == mark.epoch and key[1] <= mark.seq]
        for key in passed:
            del self._unmarked[key]
        self._delivered += len(passed)
        if passed:
            self._progress = time.monotonic()
