"""Bodies of requests, bounded."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from edge.errors import InputError

if TYPE_CHECKING:
    from starlette.requests import Request

SECONDS = 60.0
"""that a body may take to arrive"""
MOST_JSON = 256 << 10
"""bytes of a document"""


async def body(request: Request, most: int, what: str = "picture") -> bytes:
    """Raises InputError for what has more than ``most`` bytes, or does not arrive."""
    from starlette.requests import ClientDisconnect

    parts, total = [], 0
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                total += len(part)
                if total <= most:
                    parts.append(part)
    except (TimeoutError, ClientDisconnect) as error:
        raise InputError(f"the {what} did not arrive", "try again", code="incomplete") from error
    if total > most:
        size, taken = (f"{number >> 20} MiB" if most >> 20 else f"{number >> 10} KiB" for number in (total, most))
        raise InputError(f"the {what} has {size}, {taken} are taken", "make it smaller", code="too_large")
    return b"".join(parts)


async def document(request: Request) -> dict[str, Any]:
    """A JSON object. Raises InputError."""
    data = await body(request, MOST_JSON, "document")
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError("the body is not JSON", "use the page", code="document") from error
    if not isinstance(found, dict):
        raise InputError("the body is no JSON object", "use the page", code="document")
    return found
