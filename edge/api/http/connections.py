"""The endpoint's connections: so many at once, and none that waits for long.

At the limit, a new connection replaces the one that has waited longest without a complete request: a flood of idle
connections blocks no client, and takes no descriptor that a camera needs.
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
"""connections that are accepted in one go, and that the kernel holds"""
WAITING_SECONDS = 15.0
"""for the headers of a request, since the connection or the answer before"""
SLOW_READER_SECONDS = 30.0
"""for which an answer is held for a client that reads nothing of it"""
DESCRIPTORS = 4096
"""that the process asks for"""
OTHERS = 512
"""descriptors that are not the endpoint's: cameras, databases, models"""


def most_connections() -> int:
    """As many as the process has descriptors for, up to MOST; its limit is raised as far as that is allowed."""
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
    """All open connections, oldest first. On the endpoint's event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.evicted = 0
        self._open: dict[GuardedProtocol, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: GuardedProtocol) -> bool:
        """Whether there is room for it; the longest waiting connection may be closed for it."""
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
        """Close those whose time is up."""
        for connection in [one for one in self._open if one.is_overdue()]:
            connection.transport.abort()

    def _victim(self) -> GuardedProtocol | None:
        """Who waits for longest: without any request before one between two, and last one whose body arrives."""
        found = [one for one in self._open if one.is_idle() or one.is_arriving()]
        return min(found, key=lambda one: (one.is_arriving(), one.is_served, one.since), default=None)


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol, with a place among the connections. ``guards`` is set in a subclass for each server."""

    guards: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.since = self.loop.time()
        """seconds of the loop: of the connection, of the request, or of the end of the answer before"""
        self.is_served = False
        """whether it was answered before"""
        self._unread = (0, 0.0)
        """bytes of an answer that wait for their reader, since when"""

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
        """Whether no request is here whole."""
        return self.cycle is None or self.cycle.response_complete

    def is_arriving(self) -> bool:
        """Whether a request is here, and not all of its body."""
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
    """The protocol of one server."""
    return type("Protocol", (GuardedProtocol,), {"guards": connections})
