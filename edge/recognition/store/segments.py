"""Segment: some faces of a collection as one immutable file, the unit of distribution in releases.

A line of JSON (format, version, collection, space, dimensions, count), ``count`` lines of faces, then ``count`` rows
of float32 vectors, little endian. A segment fits into memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core.errors import InputError
from edge.core.types import Face
from edge.recognition.store.export import from_line, to_line
from edge.recognition.store.vectors import checked

if TYPE_CHECKING:
    from edge.core.types import FloatArray

FORMAT, VERSION = "edge-segment", 1
MOST_BYTES = 4 << 20
"""approximate bytes of a segment"""
LINE = 400
"""estimated upper limit of the bytes of a face without its vector"""

Entry = tuple[Face, "FloatArray"]


def pack(collection: str, space: str, entries: Sequence[Entry]) -> bytes:
    """The segment of these faces, in this order. The same faces give the same bytes."""
    dimensions = len(entries[0][1])
    head = {"format": FORMAT, "version": VERSION, "collection": collection, "space": space,
            "dimensions": dimensions, "count": len(entries)}  # fmt: skip
    lines = b"".join(to_line(face) for face, _ in entries)
    vectors = np.stack([vector for _, vector in entries]).astype("<f4").tobytes()
    return json.dumps(head, ensure_ascii=False).encode() + b"\n" + lines + vectors


def parts(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """``entries`` in chunks for one segment each."""
    if entries:
        size = max(1, MOST_BYTES // (4 * len(entries[0][1]) + LINE))
        for start in range(0, len(entries), size):
            yield entries[start : start + size]


def unpack(data: bytes, collection: str, space: str, dimensions: int, count: int) -> list[Entry]:
    """The faces of a segment, each value checked. Raises InputError if it does not match the manifest."""
    head_line, _, rest = data.partition(b"\n")
    try:
        head: Any = json.loads(head_line) if len(head_line) < 1 << 16 else None
    except (ValueError, RecursionError) as error:
        raise _bad(f"its first line is not JSON: {error}") from error
    wanted = {"format": FORMAT, "version": VERSION, "collection": collection, "space": space,
              "dimensions": dimensions, "count": count}  # fmt: skip
    if not isinstance(head, dict) or {key: head.get(key) for key in wanted} != wanted:
        raise _bad(f"expected {wanted}, got {str(head)[:300]}")
    end = len(rest) - count * dimensions * 4
    lines = rest[: max(0, end)].splitlines()
    if end < 0 or len(lines) != count:
        raise _bad(f"expected {count} faces and their vectors, got {len(lines)} lines")
    vectors = checked(np.frombuffer(rest[end:], "<f4").reshape(count, dimensions), dimensions)
    return [(from_line(line, collection), vector) for line, vector in zip(lines, vectors, strict=True)]


def _bad(what: str) -> InputError:
    return InputError(f"segment: {what}", "publish the collection again", code="segment")
