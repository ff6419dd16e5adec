"""Memory queue for events during disk failures: bounded, ordered, lost when the process ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from edge.core.types import Queued
from edge.mqtt.outbox.store import UPDATE, NewRow

MOST = 10_000
"""maximum number of events; about 10 MB"""

Key = tuple[int, int]
"""epoch, seq"""


class MemoryQueue:
    """Rows by position. They have a separate epoch, so that no key is repeated after a power failure."""

    def __init__(self, most: int = MOST) -> None:
        self.epoch = 1 + secrets.randbelow(2**31 - 1)
        self.lost = 0
        self._most = most
        self._rows: dict[int, NewRow] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[NewRow]:
        return list(self._rows.values())

    @property
    def positions(self) -> list[int]:
        return list(self._rows)

    def keep(self, rows: Sequence[NewRow], last: int) -> int:
        """Append ``rows`` at positions after ``last``; returns the last position. When full, the oldest are dropped."""
        for row in rows:
            last += 1
            row.epoch, row.seq = self.epoch, last
            self._rows[last] = row
        while len(self._rows) > self._most:
            plain = (position for position, row in self._rows.items() if row.kind == UPDATE)
            del self._rows[next(plain, next(iter(self._rows)))]
            self.lost += 1
        return last

    def forget(self, delivered: Callable[[Key], bool]) -> None:
        """Drop the rows whose key is ``delivered``."""
        self._rows = {place: row for place, row in self._rows.items() if not delivered((row.epoch, row.seq))}

    def clear(self) -> None:
        self._rows = {}

    def read(self, after: int, limit: int, without: Sequence[str] = ()) -> list[Queued]:
        """As ``Store.read``."""
        found = [item for item in self._queued() if item.position > after and item.event.camera not in without]
        return found[:limit]

    def of_track(self, camera: str, track: str, before: int) -> list[Queued]:
        """As ``Store.of_track``."""
        return [
            item
            for item in self._queued()
            if item.position < before and (item.event.camera, item.event.track) == (camera, track)
        ]

    def oldest(self) -> float | None:
        row = next(iter(self._rows.values()), None)
        return row.event.time if row else None

    def _queued(self) -> list[Queued]:
        found, after = [], 0
        for position, row in self._rows.items():
            found.append(Queued(position, row.epoch, row.seq, after, row.event))
            after = row.seq
        return found
