"""Bodies of requests, bounded in bytes and in time.

A body is read whole before any answer, or clients see a reset and send it again.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from edge.core.errors import InputError

if TYPE_CHECKING:
    from starlette.requests import Request


SECONDS = 60.0
"""that a body may take to arrive"""


async def body(request: Request, most: int, what: str = "picture") -> bytes:
    """Raises InputError for what has more than ``most`` bytes, ``too_large``, or does not arrive, ``incomplete``."""
    from starlette.requests import ClientDisconnect

    parts: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                total += len(part)
                if total <= most:
                    parts.append(part)
                else:
                    parts.clear()
    except (TimeoutError, ClientDisconnect) as error:
        raise InputError(f"the {what} did not arrive", "try again", code="incomplete") from error
    if total > most:
        size, taken = (f"{number >> 20} MiB" if most >> 20 else f"{number >> 10} KiB" for number in (total, most))
        raise InputError(f"the {what} has {size}, {taken} are taken", "make it smaller", code="too_large")
    return b"".join(parts)


LARGEST = 1 << 53
"""numbers from this on are no ids, and SQLite would not take all of them"""
MOST_JSON = 256 << 10
"""bytes of a document"""


async def document(request: Request, most: int = MOST_JSON) -> dict[str, Any]:
    """A JSON object. Raises InputError."""
    data = await body(request, most, "document")
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not JSON", "use the page", code="document") from error
    if not isinstance(found, dict):
        raise InputError("the body is no JSON object", "use the page", code="document")
    return found


def numbers(found: object, most: int) -> list[int]:
    """Ids that a document names. Raises InputError."""
    if isinstance(found, list) and 1 <= len(found) <= most and all(map(_is_number, found)):
        return list(found)
    raise InputError(f"ids: expected a list of 1 to {most} numbers", "send them in parts", code="ids")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST
