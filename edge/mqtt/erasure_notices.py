"""Who was forgotten here, without the names: what a hub is told, so that it can forget them as well.

A digest stands for a subject of this device; it can only be recognized by who knows the name. The list is published
retained, so a hub that was away hears of it when it is back, and reading it twice changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.mqtt.messages import ErasureNotice, ErasureNotices

FILE = "forgotten.json"
MOST = 500
DAYS = 90.0
"""for which a hub is told"""


def digest(device: str, subject: str) -> str:
    """A subject of a device without its name."""
    return hashlib.sha256(f"{device}\n{subject}".encode("utf-8", "surrogatepass")).hexdigest()


def note(state: Path, device: str, subject: str) -> None:
    """Remember that the subject was forgotten now. Raises StoreError."""
    own = digest(device, subject)
    kept = [one for one in read(state).forgotten if one.digest != own][-(MOST - 1) :]
    entries = [{"digest": one.digest, "time": one.time} for one in kept]
    entries.append({"digest": own, "time": round(time.time(), 3)})
    try:
        files.write_bytes(state / FILE, json.dumps(entries).encode())
    except OSError as error:
        raise StoreError(f"{state / FILE}: cannot be written: {error.strerror}", "check the space on disk") from error


def read(state: Path) -> ErasureNotices:
    """Who was forgotten within DAYS; nobody where the file is not there or not ours."""
    since = time.time() - DAYS * 86400
    try:
        entries = json.loads((state / FILE).read_bytes())
        found = [ErasureNotice(str(one["digest"]), float(one["time"])) for one in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return ErasureNotices()
    return ErasureNotices(tuple(one for one in found if one.time > since))
