"""The documents that scripts send, bounded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edge.api.http.bodies import body
from edge.core.errors import InputError

if TYPE_CHECKING:
    from starlette.requests import Request

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
