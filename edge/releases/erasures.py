"""Somebody who was forgotten on this device stays forgotten, whatever a release brings."""

from __future__ import annotations

import time
from pathlib import Path

from edge.releases.manifest import subject_digest
from edge.releases.release_store import Slots
from edge.releases.update_state import Ledger


def erase(state: Path, collection: str, subject: str) -> None:
    """From now on no release brings back faces of ``subject`` that were made before. Raises StoreError."""
    ledger = Ledger(Slots(state).folder)
    try:
        known = ledger.get(f"erased {collection}", {"faces": [], "subjects": {}})
        subjects = known["subjects"] | {subject_digest(collection, subject): time.time()}
        ledger.put({f"erased {collection}": {**known, "subjects": subjects}})
    finally:
        ledger.close()
