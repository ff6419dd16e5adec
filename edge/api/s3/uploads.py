"""Request bodies written to a file: digests are verified while streaming, ``aws-chunked`` is decoded."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from edge.api.http.sigv4 import UNSIGNED_PAYLOAD, UNSIGNED_TRAILER
from edge.api.s3.errors import StorageError

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_BYTES = 5 << 30
"""maximum bytes of an object"""
STALLED_SECONDS = 20.0
"""longest pause in seconds without data"""
RESERVE = 256 << 20
"""bytes that uploads must leave free on the disk"""
BLOCK = 1 << 20
"""bytes written at a time"""
MOST_TRAILERS = 16
MOST_LINE = 4096
"""maximum bytes of a chunk header, or of a trailer"""

_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})(;[^\r\n]*)?")


class _Crc32:
    """zlib's CRC-32 with the interface of hashlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


CHECKSUMS: dict[str, Any] = {
    "content-md5": lambda: hashlib.md5(usedforsecurity=False),
    "x-amz-checksum-crc32": _Crc32,
    "x-amz-checksum-sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "x-amz-checksum-sha256": hashlib.sha256,
}
"""header -> checksum algorithm; others are not verified"""


async def received(request: Request, headers: Mapping[str, str], payload: str, target: BinaryIO) -> int:
    """Write a request's body to an open file; returns its size. ``payload``: the signed X-Amz-Content-Sha256.

    Raises StorageError for an incomplete or too long body or a wrong digest; OSError.
    """
    wanted = {name: _decoded(headers[name]) for name in CHECKSUMS if name in headers}
    sums = {name: CHECKSUMS[name]() for name in wanted}
    digest = None if payload in ("", UNSIGNED_PAYLOAD, UNSIGNED_TRAILER) else hashlib.sha256()
    trailer: dict[str, str] = {}
    parts = _arriving(request)
    if payload == UNSIGNED_TRAILER:
        for name in CHECKSUMS:
            sums.setdefault(name, CHECKSUMS[name]())
        parts = _dechunked(parts, trailer)
    total, waiting = 0, bytearray()
    async for part in parts:
        total += len(part)
        if total > MOST_BYTES:
            raise StorageError("EntityTooLarge", f"An object has at most {MOST_BYTES} bytes.")
        for one in (*sums.values(), *((digest,) if digest else ())):
            one.update(part)
        waiting += part
        if len(waiting) >= BLOCK:
            check_space(target)
            await asyncio.to_thread(target.write, bytes(waiting))
            waiting.clear()
    await asyncio.to_thread(target.write, bytes(waiting))
    if digest and digest.hexdigest() != payload:
        raise StorageError("XAmzContentSHA256Mismatch", "The body does not match the signed digest.")
    wanted |= {name: _decoded(value) for name, value in trailer.items() if name in CHECKSUMS}
    for name, value in wanted.items():
        if sums[name].digest() != value:
            raise StorageError("BadDigest", f"The {name} you specified did not match what we received.")
    return total


def check_space(target: BinaryIO) -> None:
    """Raises StorageError where the disk has less than the reserve left."""
    disk = os.fstatvfs(target.fileno())
    if disk.f_bavail * disk.f_frsize < RESERVE:
        raise StorageError("SlowDown", "The device's disk is nearly full.")


async def _arriving(request: Request) -> AsyncIterator[bytes]:
    from starlette.requests import ClientDisconnect

    length = request.headers.get("content-length", "")
    parts, total = request.stream(), 0
    while True:
        try:
            part = await asyncio.wait_for(anext(parts), STALLED_SECONDS)
        except StopAsyncIteration:
            break
        except (asyncio.TimeoutError, ClientDisconnect) as error:
            raise StorageError("RequestTimeout", "The body did not arrive.") from error
        total += len(part)
        yield part
    if length.isdecimal() and total != int(length):
        raise StorageError("IncompleteBody", "The body is shorter than its Content-Length.")


class _Chunks:
    """Reads lines and byte ranges from a stream of parts with arbitrary boundaries."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self._buffer = bytearray()

    async def line(self) -> bytes:
        """The next line without its line break. Raises StorageError."""
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > MOST_LINE:
                raise StorageError("InvalidArgument", "The chunk encoding of the body is invalid.")
            await self._more()
        line, _, _ = bytes(self._buffer[: MOST_LINE + 2]).partition(b"\r\n")
        del self._buffer[: len(line) + 2]
        return line

    async def data(self, size: int) -> AsyncIterator[bytes]:
        """The next ``size`` bytes. Raises StorageError."""
        while size:
            if not self._buffer:
                await self._more()
            part = bytes(self._buffer[:size])
            del self._buffer[: len(part)]
            size -= len(part)
            yield part

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._parts)
        except StopAsyncIteration as error:
            raise StorageError("IncompleteBody", "The last chunk of the body is missing.") from error


async def _dechunked(parts: AsyncIterator[bytes], trailer: dict[str, str]) -> AsyncIterator[bytes]:
    """Decode ``aws-chunked`` data; trailers after the last chunk go to ``trailer``."""
    chunks = _Chunks(parts)
    while True:
        match = _CHUNK.fullmatch(await chunks.line())
        if match is None:
            raise StorageError("InvalidArgument", "The chunk encoding of the body is invalid.")
        size = int(match[1], 16)
        if not size:
            break
        async for part in chunks.data(size):
            yield part
        await chunks.line()
    while line := await chunks.line():
        name, _, value = line.decode("latin-1").partition(":")
        trailer[name.strip().lower()] = value.strip()
        if len(trailer) > MOST_TRAILERS:
            raise StorageError("InvalidArgument", "The body has too many trailers.")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise StorageError("InvalidArgument", "A checksum is not valid base64.") from error
