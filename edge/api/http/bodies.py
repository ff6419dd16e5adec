"""Bodies of requests, bounded in bytes and in time.

A body is read whole before any answer, or clients see a reset and send it again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

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
