"""The state of every device, kept in memory: a refresh reads only what has changed in the database.

Browsers ask for what changed since a revision, so that a fleet of 10,000 devices costs each of them little.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from edge.hub import queries
from edge.hub.databases import HubDatabase
from edge.hub.queries import DeviceState

REFRESH = 2.0
"""seconds between two reads of the database"""
OVERLAP = 60.0
"""seconds of documents and events that are read again: clocks of ingests differ"""
COLUMNS = (
    "device", "online", "troubles", "version", "release", "phase", "desired", "backlog", "temperature", "last_event",
    "heard", "group", "problem",
)  # fmt: skip
"""of a row of ``changes``"""


class FleetCache:
    """Thread-safe. ``database`` is used under the lock of this object alone."""

    def __init__(self, database: HubDatabase) -> None:
        self.started = f"{time.time():.6f}"
        """tells this cache from one before a restart, whose revisions mean nothing here"""
        self._database = database
        self._lock = threading.Lock()
        self._documents: dict[str, dict[str, tuple[float, dict[str, Any]]]] = {}
        """device -> kind -> time of receipt (seconds since the epoch), document"""
        self._last: dict[str, float] = {}
        """device -> time of its latest event, seconds since the epoch"""
        self._devices: dict[str, tuple[int, DeviceState]] = {}
        """device -> revision of its latest change, its state"""
        self._revision = 0
        self._read_at = float("-inf")
        self._newest = self._newest_event = float("-inf")

    def devices(self) -> list[DeviceState]:
        """All devices, by name. Raises TransientError, InputError."""
        with self._lock:
            self._refresh()
            return [self._devices[name][1] for name in sorted(self._devices)]

    def device(self, name: str) -> tuple[DeviceState, dict[str, Any]] | None:
        """A device and its latest documents by kind; None: unknown. Raises TransientError, InputError."""
        with self._lock:
            self._refresh()
            if name not in self._devices:
                return None
            documents = {kind: body for kind, (_, body) in self._documents.get(name, {}).items()}
            return self._devices[name][1], documents

    def reviews(self) -> dict[str, tuple[int, int] | None]:
        """Online device -> its pending review questions and their newest id; None: it shares none with the hub.

        Raises TransientError, InputError.
        """
        with self._lock:
            self._refresh()
            return {
                name: _review(self._documents[name]["stats"][1])
                for name, (_, device) in self._devices.items()
                if device.online and "stats" in self._documents.get(name, {})
            }

    def changes(self, started: str, since: int) -> dict[str, Any]:
        """Devices that changed after revision ``since`` of the cache ``started``; else all of them.

        Raises TransientError, InputError.
        """
        with self._lock:
            self._refresh()
            known = since if started == self.started else 0
            rows = [_row(one) for revision, one in self._devices.values() if revision > known]
            return {
                "started": self.started, "revision": self._revision, "all": not known, "total": len(self._devices),
                "columns": COLUMNS, "devices": rows,
            }  # fmt: skip

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at < REFRESH:
            return
        changed = set(self._read_documents())
        changed |= set(self._read_events())
        self._read_at = time.monotonic()
        if changed:
            self._revision += 1
        for name in changed:
            documents = self._documents.get(name, {})
            heard = max((received for received, _ in documents.values()), default=None)
            bodies = {kind: body for kind, (_, body) in documents.items()}
            self._devices[name] = self._revision, queries.device_state(name, bodies, self._last.get(name), heard)

    def _read_documents(self) -> Iterator[str]:
        """Read new documents; yields the devices that sent them."""
        for one in queries.documents(self._database, since=self._newest - OVERLAP):
            kinds = self._documents.setdefault(one.device, {})
            if one.kind in kinds and kinds[one.kind][0] == one.received:
                continue
            kinds[one.kind] = one.received, json.loads(one.body)
            self._newest = max(self._newest, one.received)
            yield one.device

    def _read_events(self) -> Iterator[str]:
        """Read times of new events; yields the devices that sent them."""
        if self._newest_event == float("-inf"):
            found: Mapping[str, float | None] = queries.last_events(self._database)
        else:
            found = queries.last_events_since(self._database, self._newest_event - OVERLAP)
        for device, moment in found.items():
            if moment is None:
                if device not in self._devices:
                    yield device
            elif moment > self._last.get(device, float("-inf")):
                self._last[device] = moment
                # a device whose clock is ahead must not hide the events of the others
                self._newest_event = max(self._newest_event, min(moment, time.time()))
                yield device


def _review(stats: Mapping[str, Any]) -> tuple[int, int] | None:
    found = stats.get("review") or {}
    return (int(found.get("waiting", 0)), int(found.get("newest", 0))) if found else None


def _row(one: DeviceState) -> list[Any]:
    return [
        one.device, one.online, one.troubles, one.version, one.release, one.phase, one.desired, one.backlog,
        one.temperature, one.last_event, one.heard, one.group, one.problem,
    ]  # fmt: skip
