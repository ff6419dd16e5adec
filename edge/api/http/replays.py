"""Replay protection: a signed request that changes something runs once; a repeat gets the same response.

An SDK that retries within one second sends the same signature, as does a replay attack. A client that creates, deletes
and creates again within one second also repeats a signature, because signatures have a resolution of one second: within
that second, a request that follows another change runs again. After a restart the responses are lost but the signatures
are not: a repeated request is refused.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.api.http.signature_log import SignatureLog

MOST_SIGNATURES = 50_000
"""signatures kept until they expire; beyond this the oldest are dropped"""
SAME_SECOND = 1.25
"""seconds after the signing time within which a client may legitimately create the same signature again"""
MOST_BYTES = 4 << 20
"""bytes of cached responses; beyond this the oldest are dropped, and repeats of their requests are refused"""


@dataclass(frozen=True)
class Reply:
    """A response as it is sent."""

    status: int
    body: bytes
    request_id: str
    final: bool = True
    """whether a repeat would change nothing; False for a response that asks the client to retry"""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(eq=False)
class _SeenRequest:
    expires: float
    done: asyncio.Future[Reply]


class ReplayCache:
    """Responses by signature, limited in number and bytes. Use on one event loop."""

    def __init__(
        self, done: SignatureLog | None = None, signatures: int = MOST_SIGNATURES, size: int = MOST_BYTES
    ) -> None:
        self._done = done
        self._most, self._most_bytes = signatures, size
        self._seen: OrderedDict[str, _SeenRequest] = OrderedDict()
        self._kept: OrderedDict[str, int] = OrderedDict()
        """signature -> bytes of its response, oldest first"""
        self._bytes = 0
        self._latest = ""
        """signature of the latest change"""

    async def once(
        self, signature: str, now: float, signed_at: float, skew: float, run: Callable[[], Awaitable[Reply]]
    ) -> Reply | None:
        """The response of ``run``, or of the first request with this signature; None where that is no longer cached.

        On return, the signature is on disk (``done``).

        ``now``, ``signed_at``: seconds since the epoch. ``skew``: seconds after which the signature expires.
        """
        self._expire(now)
        seen = self._seen.get(signature)
        follows = self._latest != signature and now < signed_at + SAME_SECOND
        if seen is not None and not (follows and seen.done.done()):
            if seen.done.done() and signature not in self._kept:
                return None
            try:
                return await asyncio.shield(seen.done)
            except asyncio.CancelledError:
                if seen.done.cancelled():  # the first request failed without a response
                    return None
                raise
        if self._done is not None and signature in self._done:
            return None
        self._forget(signature)
        seen = self._seen[signature] = _SeenRequest(signed_at + skew, asyncio.get_running_loop().create_future())
        self._latest = signature
        try:
            reply = await self._recorded(signature, run)
        except BaseException:
            del self._seen[signature]
            seen.done.cancel()
            raise
        seen.done.set_result(reply)
        if reply.final:
            self._keep(signature, reply)
        else:
            self._seen.pop(signature, None)
        return reply

    async def _recorded(self, signature: str, run: Callable[[], Awaitable[Reply]]) -> Reply:
        if self._done is None:
            return await run()
        self._done.add(signature)
        settled = asyncio.ensure_future(self._done.settled())
        try:
            return await run()
        finally:
            await settled

    def _keep(self, signature: str, reply: Reply) -> None:
        self._kept[signature] = len(reply.body)
        self._bytes += len(reply.body)
        while self._bytes > self._most_bytes:
            oldest, size = self._kept.popitem(last=False)
            self._bytes -= size
            if oldest in self._seen:
                self._seen[oldest].done = _forgotten()

    def _expire(self, now: float) -> None:
        while self._seen:
            signature, seen = next(iter(self._seen.items()))
            if seen.expires >= now and len(self._seen) < self._most:
                return
            self._forget(signature)

    def _forget(self, signature: str) -> None:
        self._seen.pop(signature, None)
        self._bytes -= self._kept.pop(signature, 0)


def _forgotten() -> asyncio.Future[Reply]:
    """Placeholder for a response that is no longer cached."""
    forgotten: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    forgotten.cancel()
    return forgotten
