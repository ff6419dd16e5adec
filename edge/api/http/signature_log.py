"""Signatures of requests that changed something, in a small file, so that they stay invalid after a restart.

16 bytes each: a digest of key and signature. With a full or broken disk, requests still work without this protection.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
from pathlib import Path

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.core.storage.damaged import set_aside

log = logging.getLogger(__name__)

DIGEST = 16
"""bytes"""
MOST = 4096
"""signatures that at least survive a restart; the file holds up to twice as many"""


class SignatureLog:
    """One log file. ``add`` on the endpoint's loop; ``settled`` waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._failed = False
        self._earlier: frozenset[bytes] = frozenset()
        try:
            if path.is_dir():
                set_aside(path)
            self._compact()
            data = path.read_bytes()
            self._earlier = frozenset(data[at : at + DIGEST] for at in range(0, len(data), DIGEST))
        except (OSError, StoreError) as error:
            self._give_up(error)

    def __contains__(self, signature: str) -> bool:
        """Whether a previous process has logged this signature."""
        return _digest(signature) in self._earlier

    def add(self, signature: str) -> None:
        """Log a request that is about to run."""
        with self._lock:
            try:
                if self._descriptor is not None:
                    os.write(self._descriptor, _digest(signature))
            except OSError as error:
                self._give_up(error)

    async def settled(self) -> None:
        """Wait until all added signatures survive a power failure."""
        await asyncio.to_thread(self._settle)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _settle(self) -> None:
        with self._lock:
            if self._descriptor is None:
                return
            try:
                os.fdatasync(self._descriptor)
                if os.fstat(self._descriptor).st_size >= 2 * MOST * DIGEST:
                    self._compact()
            except OSError as error:
                self._give_up(error)

    def _compact(self) -> None:
        """Keep the newest complete records. Raises OSError."""
        data = self._path.read_bytes() if self._path.exists() else b""
        kept = data[: len(data) - len(data) % DIGEST]
        if len(kept) >= 2 * MOST * DIGEST:
            kept = kept[-MOST * DIGEST :]
        self._close()
        if kept != data or not data:
            files.write_bytes(self._path, kept)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _give_up(self, error: OSError | StoreError) -> None:
        if not self._failed:
            why = error.strerror if isinstance(error, OSError) else error.message
            log.warning("%s: %s; captured requests can be replayed after a restart", self._path, why)
        self._failed = True
        self._close()


def _digest(signature: str) -> bytes:
    return hashlib.sha256(signature.encode()).digest()[:DIGEST]
