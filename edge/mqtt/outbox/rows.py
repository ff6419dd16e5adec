"""What the outbox file is asked to do in one transaction, and why it may refuse."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from edge.core.types import Event
from edge.mqtt.outbox import codec

PLAIN, IDENTITY, LIFE = 0, 1, 2
"""kinds of rows: an update that names nobody anew, one that does, and ``new`` or ``end``"""

TrackKey = tuple[str, str]
"""camera, track"""
Change = Callable[[str], str | None]
"""a body (by ``codec``) anew, or None where it stays as it is"""


@dataclass(slots=True)
class NewRow:
    """An event on its way into the file."""

    event: Event
    kind: int
    body: str
    """``event`` by ``codec.dump``"""
    epoch: int = 0
    """0: the file's own, and ``seq`` is the row's position"""
    seq: int = 0
    coalesce: bool = False
    """the plain updates of its track that still wait may go: this event says all that they did"""

    def rewrite(self, change: Change) -> bool:
        """Whether ``change`` gave another body."""
        if (body := change(self.body)) is None:
            return False
        self.body, self.event = body, codec.load(body)
        return True


@dataclass(slots=True)
class Batch:
    """What one transaction does."""

    rows: Sequence[NewRow] = ()
    journal: dict[TrackKey, str | None] = field(default_factory=dict)
    """the body of the latest event of a track that is open; None: it ended"""
    done: AbstractSet[tuple[int, int]] = frozenset()
    """keys that were delivered"""
    passed: Mapping[int, int] = field(default_factory=dict)
    """epoch -> seq up to which everything was delivered"""
    lost: int = 0
    """events that were dropped in memory"""
    expired_before: float = 0.0
    """seconds since the epoch: plain updates older than this go"""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.rows or self.journal or self.done or self.passed or self.lost or self.expired_before)


def reason_of(error: Exception) -> str:
    """Why the disk refused: ``full``, ``readonly`` or ``failing``."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = getattr(error, "errno", 0)
    if code == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "full"
    if code == sqlite3.SQLITE_READONLY or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "readonly"
    return "failing"


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken, so that trying again is of no use."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
