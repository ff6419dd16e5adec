"""Erasure notices: hashed subjects erased on this device, published so that the hub erases them too.

A digest identifies a subject of this device; only receivers that have the name can recognize it. The list is published
retained, so that an offline hub gets it later; reading it twice has no effect.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from edge.core.errors import StoreError
from edge.core.storage import files, layout
from edge.core.system import hardware
from edge.core.system.trusted_time import trusted_now
from edge.mqtt.messages import ErasureNotice, ErasureNotices

FILE = layout.FORGOTTEN.name
MOST = 500
DAYS = 90.0
"""retention of notices"""
TRUSTED = "trusted"
"""key: trusted time of an erasure; not published"""


def digest(device: str, subject: str) -> str:
    """Hex SHA-256 that identifies a subject of a device without its name."""
    return hashlib.sha256(f"{device}\n{subject}".encode("utf-8", "surrogatepass")).hexdigest()


def note(state: Path, device: str, subject: str, latest: tuple[int, int] | None = None) -> None:
    """Record the erasure of a subject. Raises StoreError.

    ``latest``: (epoch, seq) of the device's latest event, independent of clocks; None where there is none.
    """
    own = digest(device, subject)
    epoch, seq = latest or (0, 0)
    notice = ErasureNotice(own, round(time.time(), 3), epoch, seq, hardware.clock())
    kept = [one for one in _entries(state) if one.get("digest") != own][-(MOST - 1) :]
    entries = [*kept, {**asdict(notice), TRUSTED: round(trusted_now(state), 3)}]
    try:
        files.write_bytes(state / FILE, json.dumps(entries).encode())
    except OSError as error:
        raise StoreError(f"{state / FILE}: cannot be written: {error.strerror}", "check the space on disk") from error


def read(state: Path) -> ErasureNotices:
    """Subjects erased within DAYS of trusted time; empty where the file is missing or invalid."""
    now = trusted_now(state)
    found = []
    for one in _entries(state):
        with suppress(ValueError, KeyError, TypeError):
            if now - float(one.get(TRUSTED, now)) > DAYS * 86400:
                continue
            clock: Literal["synced", "unsynced"] = "unsynced" if one.get("clock") == "unsynced" else "synced"
            place = int(one.get("epoch", 0)), int(one.get("seq", 0))
            found.append(ErasureNotice(str(one["digest"]), float(one["time"]), *place, clock))
    return ErasureNotices(tuple(found))


def _entries(state: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads((state / FILE).read_bytes())
    except (OSError, ValueError):
        return []
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
