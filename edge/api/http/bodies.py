"""Request bodies: limits on size, arrival time and the cost of parsing their JSON.

The whole body is read before any response is sent; otherwise clients see a connection reset and retry.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge.core.errors import BusyError, InputError

if sys.version_info >= (3, 11):
    from asyncio import Timeout, timeout_at
else:
    from async_timeout import Timeout, timeout_at

if TYPE_CHECKING:
    from starlette.requests import Request


SECONDS = 60.0
"""time limit for a body to arrive"""
STALLED_SECONDS = 10.0
"""longest pause between two parts of a body"""
SMALL = 64 << 10
"""bytes of a body that do not count against the budget"""
MOST_DEPTH = 32
MOST_TOKENS = 50_000
"""brackets and commas per document: a Python object takes about 100 times the bytes of ``[],``"""
LARGEST = 1 << 53
"""exclusive upper limit of an id; larger integers do not fit into SQLite"""
MOST_JSON = 256 << 10
"""bytes per document"""

_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)


@dataclass(eq=False)
class HeldBody:
    """A request body in memory until it is released."""

    budget: BodyBudget
    began: float
    """start time, in seconds of the event loop's clock"""
    timeout: Timeout
    size: int = 0
    parts: list[bytes] = field(default_factory=list)
    hashing: Any = field(default_factory=hashlib.sha256)

    @property
    def data(self) -> bytes:
        if len(self.parts) > 1:
            self.parts = [b"".join(self.parts)]
        return self.parts[0] if self.parts else b""

    @property
    def digest(self) -> str:
        """Hex SHA-256."""
        found: str = self.hashing.hexdigest()
        return found

    def release(self) -> None:
        """Free the memory and return it to the budget."""
        self.budget.release(self)


class BodyBudget:
    """Limit on the bytes of large bodies in memory, over all connections of one event loop.

    When the budget is exceeded, the slowest body is dropped: clients that send slowly cannot block others.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self._arriving: set[HeldBody] = set()

    async def read(self, request: Request, most: int, what: str = "request") -> HeldBody:
        """Read a whole body; the caller must release it.

        Raises InputError ``too_large`` for more than ``most`` bytes and ``incomplete`` for a body that does not arrive
        in time, BusyError where other bodies use the whole budget.
        """
        from starlette.requests import ClientDisconnect

        loop = asyncio.get_running_loop()
        began, total = loop.time(), 0
        deadline = began + SECONDS
        held = HeldBody(self, began, timeout_at(min(deadline, began + STALLED_SECONDS)))
        self._arriving.add(held)
        try:
            async with held.timeout:
                async for part in request.stream():
                    held.timeout.reschedule(min(deadline, loop.time() + STALLED_SECONDS))
                    total += len(part)
                    if total <= most:
                        self._add(held, part)
                    else:
                        self.release(held)
        except (asyncio.TimeoutError, ClientDisconnect) as error:
            self.release(held)
            raise InputError(f"the {what} did not arrive", "try again", code="incomplete") from error
        except BaseException:
            self.release(held)
            raise
        finally:
            self._arriving.discard(held)
        if total > most:
            raise _too_large(what, total, most)
        return held

    def release(self, held: HeldBody) -> None:
        self.held -= max(0, held.size - SMALL)
        held.size = 0
        held.parts = []

    def _add(self, held: HeldBody, part: bytes) -> None:
        before = max(0, held.size - SMALL)
        held.size += len(part)
        held.parts.append(part)
        held.hashing.update(part)
        self.held += max(0, held.size - SMALL) - before
        while self.held > self.most:
            now = asyncio.get_running_loop().time()
            slowest = min(
                (one for one in self._arriving if one.size > SMALL),
                key=lambda one: one.size / (now - one.began + 0.001),
            )
            if slowest is held:
                raise BusyError("Provisioned Rate exceeded.", "send fewer pictures at once")
            self._arriving.discard(slowest)
            slowest.timeout.reschedule(now)
            self.release(slowest)


async def body(request: Request, most: int, what: str = "picture") -> bytes:
    """Read a whole body of at most ``most`` bytes. Raises InputError as ``BodyBudget.read``."""
    held = await BodyBudget(most).read(request, most, what)
    return held.data


async def document(request: Request, most: int = MOST_JSON) -> dict[str, Any]:
    """Read a JSON object of at most ``most`` bytes. Raises InputError."""
    found = parsed(await body(request, most, "document") or b"{}")
    if not isinstance(found, dict):
        raise InputError("the body is no JSON object", "use the page", code="document")
    return found


def parsed(data: bytes) -> object:
    """Parse JSON of limited depth and size. Raises InputError ``document``."""
    depth = tokens = 0
    for match in _STRUCTURE.finditer(data):
        token = match[0]
        if len(token) != 1:
            continue
        tokens += 1
        depth += (token in b"[{") - (token in b"]}")
        if depth > MOST_DEPTH or tokens > MOST_TOKENS:
            raise InputError(
                f"the JSON is nested deeper than {MOST_DEPTH}, or has more than {MOST_TOKENS} members",
                "send less at once",
                code="document",
            )
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not JSON", "send one JSON object", code="document") from error


def numbers(found: object, most: int) -> list[int]:
    """Validate a list of 1 to ``most`` ids. Raises InputError."""
    if isinstance(found, list) and 1 <= len(found) <= most and all(map(_is_number, found)):
        return list(found)
    raise InputError(f"ids: expected a list of 1 to {most} numbers", "send them in parts", code="ids")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _too_large(what: str, total: int, most: int) -> InputError:
    size, taken = (f"{number >> 20} MiB" if most >> 20 else f"{number >> 10} KiB" for number in (total, most))
    return InputError(f"the {what} has {size}, {taken} are taken", "make it smaller", code="too_large")
