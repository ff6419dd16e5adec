"""Events are stored on disk until they are delivered, through crashes, power failures and full disks.

``put`` does not block. A thread writes events in batches, one transaction each: immediately after an idle time, later
every ``commit_seconds``; with ``commit_seconds = 0``, ``put`` waits until its events are on disk. Only events on disk
are delivered, so that every delivered ``new`` is in the journal; open tracks are ended at the next start.

While the disk is full, read-only or broken, events are kept in a bounded memory queue with a separate epoch (so that no
key is repeated). They can be delivered from there, and are written to the disk when it recovers;
``stats().state`` shows this. Each start has a random epoch; waiting events of earlier starts keep their keys.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import InputError, StoreError
from edge.core.settings.messaging import OutboxSettings
from edge.core.storage import vault
from edge.core.storage.damaged import is_damage
from edge.core.system.heartbeat import Heartbeat
from edge.core.system.trusted_time import trusted_now
from edge.core.types import Event, Queued
from edge.mqtt.outbox.memory import Key, MemoryQueue
from edge.mqtt.outbox.store import (
    IDENTITY,
    LIFE,
    UPDATE,
    Batch,
    Change,
    NewRow,
    OutboxStore,
    TrackKey,
    dump,
    load,
    reason_of,
)

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""seconds between two attempts to write after an error"""
DELETE_SECONDS = 1.0
"""seconds that deletions wait to share a write with events; a crash before it only resends"""
STATS_SECONDS = 1.0
"""seconds that ``stats`` waits for a write in progress"""
BEAT_SECONDS = 5.0
"""longest wait of the thread between two heartbeats, in seconds"""
EXPIRE_SECONDS = 60.0
"""seconds between two checks for expired updates"""
DISK_ERRORS = (sqlite3.Error, OSError, StoreError)


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """Statistics of the outbox."""

    state: str
    """``ok``, or why events are kept in memory: ``full``, ``readonly``, ``failing``"""
    waiting: int
    """events, on disk and in memory"""
    in_memory: int
    """events of ``waiting`` that are not on disk"""
    bytes: int
    """on disk"""
    lost: int
    """events dropped by the caps since the file was created"""
    coalesced: int
    """updates replaced by later events of their track, since the start"""
    expired: int
    """updates that expired, since the start"""
    oldest: float | None
    """seconds since the epoch, of the oldest waiting event"""


class Outbox:
    """Queue of events: ``put`` adds; delivery ``read``s and marks them ``done``. Thread-safe."""

    def __init__(self, path: Path, settings: OutboxSettings) -> None:
        """``path``: the file. Does not raise for a failing disk: see ``stats().state``.

        Raises SettingsError, StoreError where its folder is encrypted and cannot be opened.
        """
        self.coalesce = False
        """set by delivery while offline: plain updates of one track may replace each other"""
        self.generation = 0
        """changes when positions change: then read again from 0"""
        self.last = 0
        """the highest readable position"""
        self.changed: list[Callable[[], None]] = []
        """called on the outbox's thread when new events may be readable; must not block"""
        self.pulse = Heartbeat()
        """heartbeat of the writing thread"""
        self._path, self._settings, self._vault = path, settings, vault.of(path.parent)
        self._disk = threading.RLock()
        """guards the store and the memory queue; acquired before ``_changed`` where both are held"""
        self._changed = threading.Condition()
        self._store: OutboxStore | None = None
        self._memory = MemoryQueue()
        self._fresh: list[NewRow] = []
        self._open: dict[TrackKey, Event] = {}
        self._journal: dict[TrackKey, str | None] = {}
        self._done: set[Key] = set()
        self._passed: dict[int, int] = {}
        self._state, self._failures = "ok", 0
        self._taken = self._settled = 0
        self._told = OutboxStats("ok", 0, 0, 0, 0, 0, 0, None)
        self._stopping = False
        self._next_write = self._next_retry = self._next_expiry = 0.0
        self._write()
        self._thread = threading.Thread(target=self._write_forever, name="outbox", daemon=True)
        self._thread.start()

    @property
    def session(self) -> int:
        """Number of starts of this outbox; random where the disk could not be read."""
        return self._store.session if self._store else self._memory.epoch

    @property
    def state(self) -> str:
        """As in ``stats``, without waiting for the disk."""
        return self._state

    @property
    def epoch(self) -> int:
        """The epoch of events that reach the disk."""
        return self._store.epoch if self._store else self._memory.epoch

    def put(self, events: Sequence[Event]) -> None:
        """Add ``events``. Raises InputError where one cannot be written as JSON; then none is added."""
        try:
            bodies = [dump(event) for event in events]
        except (ValueError, TypeError) as error:
            raise InputError(f"event of camera {events[0].camera}: {error}", "report this as a bug") from error
        with self._changed:
            self._fresh += [self._row(event, body) for event, body in zip(events, bodies, strict=True)]
            self._taken += len(events)
            ticket = self._taken
            self._changed.notify_all()
            if self._settings.commit_seconds == 0:
                self._changed.wait_for(lambda: self._settled >= ticket or self._stopping)

    def read(self, after: int, limit: int, without: Sequence[str] = ()) -> list[Queued]:
        """The next events after position ``after``, in order, except those of the cameras ``without``.

        May return fewer than ``limit`` although more are waiting; an empty list means that there are none.
        """
        with self._disk:
            while found := self._page(after, limit, without):
                if wanted := [item for item in found if not self._is_done(item.key)]:
                    return wanted
                after = found[-1].position
            return []

    def of_track(self, camera: str, track: str, before: int) -> list[Queued]:
        """The events of a track before position ``before``, in order."""
        with self._disk:
            found = self._from_store(lambda store: store.of_track(camera, track, before))
            found += self._memory.of_track(camera, track, before)
            return [item for item in found if not self._is_done(item.key)]

    def done(self, keys: Iterable[Key]) -> None:
        """Mark (epoch, seq) keys as delivered."""
        with self._changed:
            idle = not (self._done or self._passed)
            self._done.update(keys)
            if idle:
                self._changed.notify_all()

    def passed(self, epoch: int, seq: int) -> bool:
        """Mark everything of ``epoch`` up to ``seq`` as delivered. False for an impossible mark.

        A hub may have more events of an earlier start than this file, which may be restored from a backup.
        """
        with self._changed:
            if epoch == self.epoch and seq > self.last:
                return False
            idle = not (self._done or self._passed)
            self._passed[epoch] = max(seq, self._passed.get(epoch, 0))
            if idle:
                self._changed.notify_all()
            return True

    def rewrite(self, change: Change) -> int:
        """Change waiting events. ``change`` returns a new body (from ``dump``), or None. Returns the number changed.

        The file is then rewritten without the old content. Raises StoreError where the disk fails.
        """
        with self._disk:
            with self._changed:
                rows = [*self._fresh, *self._memory.rows]
                changed = sum(row.rewrite(change) for row in rows)
                for key, event in self._open.items():
                    if (body := change(dump(event))) is not None:
                        self._open[key] = load(body)
                for key, text in self._journal.items():
                    self._journal[key] = text and (change(text) or text)
            self.generation += 1
            try:
                return changed + (self._store.rewrite(change) if self._store else 0)
            except DISK_ERRORS as error:
                raise StoreError(f"{self._path}: cannot be rewritten: {error}", "check the space on disk") from error

    def stats(self) -> OutboxStats:
        if not self._disk.acquire(timeout=STATS_SECONDS):
            # the caller must not block while the disk hangs
            return self._told
        try:
            self._told = self._counted()
        finally:
            self._disk.release()
        return self._told

    def _counted(self) -> OutboxStats:
        with self._changed:
            store, memory = self._store, self._memory
            size, oldest = 0, memory.oldest()
            if store:
                try:
                    size, oldest = store.bytes(), store.oldest() or oldest
                except DISK_ERRORS as error:
                    log.debug("outbox %s: %s", self._path, error)
            return OutboxStats(
                state=self._state,
                waiting=max(0, (store.waiting if store else 0) + len(memory) + len(self._fresh) - len(self._done)),
                in_memory=len(memory),
                bytes=size,
                lost=memory.lost + (store.lost if store else 0),
                coalesced=store.coalesced if store else 0,
                expired=store.expired if store else 0,
                oldest=oldest,
            )

    def close(self) -> None:
        """Write pending events and stop. Events that cannot be written are lost, and logged."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        with self._disk:
            if self._memory:
                log.error("outbox %s: %d events could not be written and are lost", self._path, len(self._memory))
            if self._store:
                self._store.close()
                self._store = None

    def _row(self, event: Event, body: str) -> NewRow:
        key = (event.camera, event.track)
        before = self._open.pop(key, None)
        if event.type != "end":
            self._open[key] = event
        self._journal[key] = None if event.type == "end" else body
        same = before is not None and _name(before) == _name(event)
        kind = LIFE if event.type != "update" else UPDATE if same else IDENTITY
        return NewRow(event, kind, body, coalesce=self.coalesce and event.type != "new")

    def _page(self, after: int, limit: int, without: Sequence[str]) -> list[Queued]:
        found = self._from_store(lambda store: store.read(after, limit, without))
        return found + self._memory.read(after, limit - len(found), without) if len(found) < limit else found

    def _from_store(self, query: Callable[[OutboxStore], list[Queued]]) -> list[Queued]:
        if self._store is None:
            return []
        try:
            return query(self._store)
        except DISK_ERRORS as error:
            log.debug("outbox %s: cannot be read: %s", self._path, error)
            return []

    def _is_done(self, key: Key) -> bool:
        return key in self._done or key[1] <= self._passed.get(key[0], 0)

    def _write_forever(self) -> None:
        while not self._stopping:
            with self._changed:
                while not self._stopping and (pause := self._due() - time.monotonic()) > 0:
                    self.pulse.beat()
                    self._changed.wait(min(pause, BEAT_SECONDS))
            self.pulse.beat()
            self._write()
        self.pulse.rest()

    def _due(self) -> float:
        """Monotonic time of the next write in seconds."""
        if self._fresh:
            return self._next_write if self._state == "ok" else 0.0
        if self._state != "ok":
            return self._next_retry
        if self._done or self._passed:
            return min(self._next_write + DELETE_SECONDS, self._next_expiry)
        return self._next_expiry

    def _write(self) -> None:
        """Write all new events in one transaction; keep them in memory where the disk fails."""
        with self._disk:
            with self._changed:
                # in one transaction: the journal must not be ahead of the events
                batch = Batch(self._fresh, dict(self._journal), set(self._done), dict(self._passed))
                fresh, self._fresh = self._fresh, []
            self._memory.forget(self._is_done)
            if self._state == "ok" or time.monotonic() >= self._next_retry or self._stopping:
                try:
                    self._write_to_disk(batch)
                except DISK_ERRORS as error:
                    self._failed(error)
                    self.last = self._memory.keep(fresh, self.last)
            else:
                self.last = self._memory.keep(fresh, self.last)
            with self._changed:
                self._settled += len(fresh)
                self._changed.notify_all()
        if fresh:
            for listener in self.changed:
                listener()

    def _write_to_disk(self, batch: Batch) -> None:
        store, closing = self._opened(batch)
        held = self._memory.positions
        batch.rows = [*closing, *self._memory.rows, *batch.rows]
        batch.lost = self._memory.lost
        expiring = time.monotonic() >= self._next_expiry
        if expiring:
            self._next_expiry = time.monotonic() + EXPIRE_SECONDS
            seconds = self._settings.update_hours * 3600
            batch.expiry = (trusted_now(self._path.parent), seconds) if store.waiting else None
        if batch:
            positions = store.write(batch)
            self._next_write = time.monotonic() + self._settings.commit_seconds
            if positions[len(closing) : len(closing) + len(held)] != held:
                self.generation += 1
        self._written(store, batch)

    def _opened(self, batch: Batch) -> tuple[OutboxStore, list[NewRow]]:
        """The store, opened if necessary; and rows that end the open tracks of an earlier process."""
        if self._store is not None:
            return self._store, []
        store = OutboxStore(self._path, self._settings.max_bytes, self._settings.reserve_bytes, self._vault)
        try:
            left = [event for event in store.journal() if (event.camera, event.track) not in batch.journal]
        except sqlite3.Error:
            store.close()
            raise
        closing = []
        for event in left:
            end = dataclasses.replace(event, type="end", ended=event.time, reason="restart")
            closing.append(NewRow(end, LIFE, dump(end)))
            batch.journal[event.camera, event.track] = None
        if left:
            log.info("outbox: ended %d tracks of the previous run", len(left))
        self._store = store
        return store, closing

    def _written(self, store: OutboxStore, batch: Batch) -> None:
        with self._changed:
            for key, body in batch.journal.items():
                if self._journal.get(key) == body:
                    self._journal.pop(key, None)
            self._done.difference_update(batch.done)
            for epoch, seq in batch.passed.items():
                if self._passed.get(epoch) == seq:
                    del self._passed[epoch]
            self.last = store.last
        self._memory.clear()
        self._memory.lost = 0
        if self._state != "ok":
            log.info("outbox %s: takes events again, after %d attempts", self._path, self._failures)
        self._state, self._failures = "ok", 0

    def _failed(self, error: sqlite3.Error | OSError | StoreError) -> None:
        reason = reason_of(error)
        level = logging.DEBUG if self._state == reason else logging.WARNING
        log.log(level, "outbox %s: %s (%s): events wait in memory", self._path, reason, error)
        self._state = reason
        self._failures += 1
        self._next_retry = time.monotonic() + RETRY_SECONDS
        if is_damage(error) and self._store is not None:
            # it is set aside at the next open
            self._store.close()
            self._store = None
            with self._changed:
                for key, event in self._open.items():
                    self._journal[key] = dump(event)


def _name(event: Event) -> tuple[str, str | None, str | None]:
    return event.identity.state, event.identity.subject, event.identity.pseudonym
