"""Erasure at the hub: applies erasure notices of devices to stored events and to published collections.

A device publishes a digest of each erased subject, never the name. ``hub.forget`` limits the scope: off, the device's
own events, or the whole fleet. ``hub.forgotten`` chooses between removing the name and deleting the event. Collections
change only in the draft; the owner signs the release.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.core import subjects
from edge.core.settings.messaging import HubSettings
from edge.core.settings.schema import Settings
from edge.core.storage.files import expanded
from edge.core.types import IdentityState
from edge.hub.databases import Transaction
from edge.hub.store import Arrived, EventStore
from edge.mqtt.erasure_notices import digest
from edge.mqtt.messages import ErasureNotice, ErasureNotices

log = logging.getLogger(__name__)

SCHEMA = """CREATE TABLE IF NOT EXISTS forgotten (
    device TEXT NOT NULL, digest TEXT NOT NULL, time DOUBLE PRECISION NOT NULL, PRIMARY KEY (device, digest))"""
PLACES = """CREATE TABLE IF NOT EXISTS forgotten_places (
    device TEXT NOT NULL, digest TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
    PRIMARY KEY (device, digest))"""
"""the device's latest event at the time of the erasure; orders events without relying on clocks"""
HUB = ""
"""in place of a device: subjects that were erased from everything on the page of the hub"""
NEWEST = "SELECT count(*), max(time) FROM forgotten WHERE device = ?"
PAGE = 500
"""maximum events changed per transaction"""
DELETE_UNREADABLE = "DELETE FROM unreadable WHERE device = ? AND epoch = ? AND seq = ?"
EMPTY_UNREADABLE = "UPDATE unreadable SET body = ? WHERE device = ? AND epoch = ? AND seq = ?"
PAST = """SELECT device, epoch, seq, body FROM unreadable WHERE (device, epoch, seq) > (?, ?, ?)
    ORDER BY device, epoch, seq LIMIT ?"""

Questions = Callable[[str, Mapping[str, float]], object]
"""erases subjects of a device, digest -> time of the erasure, from copies of review questions; raises EdgeError"""
Published = Callable[[Callable[[str], bool]], object]
"""erases the subjects that match a predicate from the published collections; raises EdgeError"""


@dataclass(frozen=True, slots=True)
class ErasureTime:
    """When a device erased a subject."""

    time: float
    """seconds since the epoch"""
    epoch: int = 0
    seq: int = 0
    """of the device's latest event at that time; 0: unknown"""

    def is_after(self, epoch: int, seq: int, moment: float, own: bool) -> bool:
        """Whether the erasure is later than an event at ``moment`` (seconds since the epoch).

        ``own``: the event is of the device that erased the subject, so that its seq is compared instead of its clock.
        """
        if own and self.seq and epoch == self.epoch:
            return seq <= self.seq
        return moment <= self.time


class FleetErasure:
    """Erasure of one ingest. Not thread-safe.

    Every method raises TransientError or InputError; ``told`` also raises as ``published`` and ``questions`` do.
    """

    def __init__(
        self, hub: HubSettings, store: EventStore, published: Published | None = None,
        questions: Questions | None = None,
    ) -> None:  # fmt: skip
        self._hub, self._store, self._published, self._questions = hub, store, published, questions
        self._known: dict[str, dict[str, ErasureTime]] | None = None
        """device -> digest -> time of the erasure; None: not read yet"""
        self._newest: object = None
        """changes where another process has erased a subject; ingests run for months"""

    def told(self, device: str, notices: ErasureNotices) -> None:
        """Apply the erasure notices of ``device``. Idempotent."""
        if self._hub.forget == "off":
            return
        known = self._read().setdefault(device, {})
        new = {
            one.digest: self._when(one)
            for one in notices.forgotten
            if one.digest not in known or _is_newer(one, known[one.digest])
        }
        if not new:
            return
        changed = self._forget(device, new) + self._forget_unreadable(device, new)
        if self._questions is not None:
            self._questions(device, {one: when.time for one, when in new.items()})
        if self._hub.forget == "fleet" and self._published is not None:
            self._published(lambda subject: digest(device, subject) in new)
        self._remember(device, new)
        self._store.database.compact()
        known |= new
        log.info("hub: device %s erased %d subjects: %d events changed", device, len(new), changed)

    def erase(self, subject: str, before: float) -> int:
        """Erase a subject from the events of all devices before ``before`` (seconds since the epoch).

        Whatever ``hub.forget`` says, and also from those that arrive later. Returns the number of events that changed.
        """
        self._read()
        when = ErasureTime(before)
        new = {digest(HUB, form): when for form in subjects.forms(subject)}
        self._remember(HUB, new)
        changed = sum(self._forget_one("", (), HUB, form, when) for form in subjects.forms(subject))
        changed += self._forget_unreadable(HUB, new)
        self._store.database.compact()
        return changed

    def _remember(self, device: str, new: Mapping[str, ErasureTime]) -> None:
        with self._store.database.transaction() as transaction:
            keys = [(device, one) for one in new]
            for table in ("forgotten", "forgotten_places"):
                transaction.many(f"DELETE FROM {table} WHERE device = ? AND digest = ?", keys)  # noqa: S608
            rows = [(device, one, when.time) for one, when in new.items()]
            transaction.many("INSERT INTO forgotten VALUES (?, ?, ?)", rows)
            places = [(device, one, when.epoch, when.seq) for one, when in new.items()]
            transaction.many("INSERT INTO forgotten_places VALUES (?, ?, ?, ?)", places)

    def cleansed(self, arrived: Sequence[Arrived]) -> list[Arrived]:
        """``arrived``, anonymized where an event is older than the erasure of its subject."""
        if not self._current():
            return list(arrived)
        return [self._cleansed(one) for one in arrived]

    def _current(self) -> dict[str, dict[str, ErasureTime]]:
        """What was erased, read again where another process has erased a subject from everything."""
        known = self._read()
        with self._store.database.transaction(reading=True) as transaction:
            newest = list(transaction.execute(NEWEST, (HUB,)))
        if newest != self._newest:
            self._newest, self._known = newest, None
            known = self._read()
        return known

    def _cleansed(self, one: Arrived) -> Arrived:
        subject, moment = (one.event.identity.subject, one.event.time) if one.event else _claimed(one.body)
        if subject is None:
            return one
        known = self._read()
        scope = {"fleet": known.keys(), "device": {HUB, one.device}, "off": {HUB}}[self._hub.forget]
        devices = {device: known[device] for device in scope if device in known}
        times = ((device, known.get(digest(device, subject))) for device, known in devices.items())
        place = one.epoch, one.seq, moment
        if not any(when is not None and when.is_after(*place, own=device == one.device) for device, when in times):
            return one
        if one.event is None:
            return replace(one, body=_nothing())
        identity = replace(
            one.event.identity, state=IdentityState.UNKNOWN, subject=None, similarity=None, runner_up=None, face_id=None
        )
        return replace(one, event=replace(one.event, identity=identity), body=nameless(one.body))

    def _when(self, notice: ErasureNotice) -> ErasureTime:
        """Use the hub's clock where the device's clock is ahead or not synchronized."""
        now = time.time()
        moment = now if notice.clock == "unsynced" else min(notice.time, now)
        return ErasureTime(max(moment, notice.time if not notice.seq else 0.0), notice.epoch, notice.seq)

    def _read(self) -> dict[str, dict[str, ErasureTime]]:
        if self._known is None:
            with self._store.database.transaction() as transaction:
                transaction.execute(SCHEMA)
                transaction.execute(PLACES)
                rows = transaction.execute(
                    "SELECT f.device, f.digest, f.time, coalesce(p.epoch, 0), coalesce(p.seq, 0) FROM forgotten f "
                    "LEFT JOIN forgotten_places p ON p.device = f.device AND p.digest = f.digest"
                )
            self._known = {}
            for device, one, moment, epoch, seq in rows:
                self._known.setdefault(device, {})[one] = ErasureTime(moment, epoch, seq)
        return self._known

    def _forget(self, device: str, new: Mapping[str, ErasureTime]) -> int:
        own = self._hub.forget != "fleet"
        where, values = ("device = ? AND ", (device,)) if own else ("", ())
        with self._store.database.transaction(reading=True) as transaction:
            query = f"SELECT DISTINCT subject FROM events WHERE {where}subject IS NOT NULL"  # noqa: S608
            stored = {one for (one,) in transaction.execute(query, values)}
        changed = 0
        for subject in stored:
            when = new.get(digest(device, subject))
            if when is not None:
                changed += self._forget_one(where, values, device, subject, when)
        return changed

    def _forget_unreadable(self, device: str, new: Mapping[str, ErasureTime]) -> int:
        """Erase subjects from events of which only the key is valid; returns how many were changed."""
        own, after, changed = self._hub.forget != "fleet" and device != HUB, ("", 0, 0), 0
        while True:
            with self._store.database.transaction() as transaction:
                found = transaction.execute(PAST, (*after, PAGE))
                keys = [
                    key
                    for *key, body in found
                    if (not own or key[0] == device)
                    and (claim := _claimed(body))[0] is not None
                    and (when := new.get(digest(device, claim[0]))) is not None
                    and (claim[1] <= when.time or (key[0] == device and key[2] <= when.seq))
                ]
                if self._hub.forgotten == "delete":
                    transaction.many(DELETE_UNREADABLE, keys)
                else:
                    body = _nothing()
                    transaction.many(EMPTY_UNREADABLE, [(body, *key) for key in keys])
            changed += len(keys)
            if len(found) < PAGE:
                return changed
            after = tuple(found[-1][:3])

    def _forget_one(self, where: str, values: tuple[str, ...], device: str, subject: str, when: ErasureTime) -> int:
        condition = f"{where}subject = ? AND (time <= ? OR (device = ? AND seq <= ?))"
        wanted = (*values, subject, when.time, device, when.seq)
        if self._hub.forgotten == "delete":
            with self._store.database.transaction() as transaction:
                gone: int = transaction.many(f"DELETE FROM events WHERE {condition}", [wanted])  # noqa: S608
            return gone
        changed = 0
        while True:
            with self._store.database.transaction() as transaction:
                found = _page(transaction, condition, wanted)
                if not found:
                    return changed
                transaction.many(
                    "UPDATE events SET subject = NULL, state = 'unknown', similarity = NULL, body = ? "
                    "WHERE device = ? AND epoch = ? AND seq = ?",
                    [(nameless(body), *key) for *key, body in found],
                )
            changed += len(found)


def _is_newer(notice: ErasureNotice, known: ErasureTime) -> bool:
    """Whether the device has erased the subject again, by its latest event, or by its clock where it sends no seq."""
    if notice.seq:
        return (notice.epoch, notice.seq) != (known.epoch, known.seq)
    return notice.time > known.time


def publisher(chosen: Settings, state: Path) -> Published | None:
    """Erases subjects from the collections that this hub publishes; None where it publishes none."""
    folder = expanded(chosen.hub.repository or state / "hub")
    if not (folder / "private").is_dir():
        return None

    def forget(wanted: Callable[[str], bool]) -> None:
        from edge.hub.publishing.publisher import ReleasePublisher

        publisher = ReleasePublisher(folder, chosen)
        for subject in filter(wanted, publisher.subjects()):
            publisher.forget(subject)

    return forget


def review_questions(chosen: Settings, state: Path) -> Questions:
    """Erases subjects from the copies of review questions in a state folder, where there are any."""

    def forget(device: str, erased: Mapping[str, float]) -> None:
        from edge.hub.review.store import FILE, FleetQuestions

        if (state / FILE).exists():
            with closing(FleetQuestions(state, chosen.hub)) as questions:
                questions.told(device, erased, fleet=chosen.hub.forget == "fleet")

    return forget


def nameless(body: str) -> str:
    """The JSON of an event without its identity; an invalid one is replaced entirely."""
    try:
        event: dict[str, Any] = json.loads(body)
        collection = event["identity"].get("collection")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _nothing()
    event["identity"] = {"state": "unknown", "subject": None, "collection": collection}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _claimed(body: str) -> tuple[str | None, float]:
    """Subject and time (seconds since the epoch) of an invalid event; (None, 0.0): it names no subject."""
    try:
        event: dict[str, Any] = json.loads(body)
        subject, moment = event["identity"]["subject"], event.get("time")
        known = float(moment) if isinstance(moment, int | float) else 0.0
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None, 0.0
    return (subject, known) if isinstance(subject, str) else (None, 0.0)


def _nothing() -> str:
    """Body that replaces an erased event."""
    return json.dumps({"forgotten": round(time.time(), 3)})


def _page(transaction: Transaction, condition: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    query = f"SELECT device, epoch, seq, body FROM events WHERE {condition} LIMIT {PAGE}"  # noqa: S608
    return transaction.execute(query, values)
