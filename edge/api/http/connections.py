"""Connections of the endpoint: limited in number, with time limits for idle clients and slow readers.

At the limit, a new connection replaces the one that has waited longest without a complete request. A flood of idle
connections therefore neither blocks clients nor uses the file descriptors that cameras need.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

MOST = 256
BACKLOG = 128
"""listen backlog, and connections accepted per wake-up"""
WAITING_SECONDS = 15.0
"""time limit for the headers of a request, from the connection or the previous response"""
SLOW_READER_SECONDS = 30.0
"""how long a response is kept for a client that reads none of it"""
DESCRIPTORS = 4096
"""limit of open files that the process requests"""
OTHERS = 512
"""file descriptors reserved for cameras, databases and models"""


def most_connections() -> int:
    """The connection limit: up to MOST, by the limit of open files, which is raised to DESCRIPTORS where allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.debug("the limit of open files stays at %d: %s", soft, error)
    if soft == resource.RLIM_INFINITY:
        return MOST
    return max(16, min(MOST, (soft - OTHERS) // 4))


class Connections:
    """All open connections, oldest first. Use on the endpoint's event loop only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self._open: dict[GuardedProtocol, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: GuardedProtocol) -> bool:
        """Add a connection. At the limit, abort the one that has waited longest; False where there is none to abort."""
        if len(self._open) >= self.most:
            victim = self._victim()
            if victim is None:
                return False
            self.evicted += 1
            self.forget(victim)
            victim.transport.abort()
        self._open[connection] = None
        return True

    def forget(self, connection: GuardedProtocol) -> None:
        self._open.pop(connection, None)

    def sweep(self) -> None:
        """Abort overdue connections."""
        for connection in [one for one in self._open if one.is_overdue()]:
            connection.transport.abort()

    def _victim(self) -> GuardedProtocol | None:
        """The connection to abort: idle before arriving, never served before served, oldest first."""
        found = [one for one in self._open if one.is_idle() or one.is_arriving()]
        return min(found, key=lambda one: (one.is_arriving(), one.is_served, one.since), default=None)


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, registered in ``guards``, which a subclass per server sets."""

    guards: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.since = self.loop.time()
        """loop time in seconds of the connection, of the request, or of the end of the previous response"""
        self.is_served = False
        """whether a response was already sent"""
        self._unread = (0, 0.0)
        """bytes in the write buffer, and the loop time since when the client has read none"""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if not self.guards.admit(self):
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.guards.forget(self)
        if self.flow is not None:
            super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.since, self.is_served = self.loop.time(), True
        super().on_response_complete()

    def is_idle(self) -> bool:
        """Whether no complete request head is pending."""
        return self.cycle is None or self.cycle.response_complete

    def is_arriving(self) -> bool:
        """Whether a request's head has arrived but not its whole body."""
        return not self.is_idle() and self.cycle.more_body

    def is_overdue(self) -> bool:
        now = self.loop.time()
        if self.is_idle() and now - self.since > WAITING_SECONDS:
            return True
        unread = self.transport.get_write_buffer_size() if self.transport else 0
        before = self._unread[0]
        if not unread or not before or unread < before:
            self._unread = (unread, now)
        return bool(unread) and now - self._unread[1] > SLOW_READER_SECONDS


def protocol_of(connections: Connections) -> type[GuardedProtocol]:
    """The protocol class for one server."""
    return type("Protocol", (GuardedProtocol,), {"guards": connections})
