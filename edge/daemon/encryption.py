"""Encrypt, decrypt or re-encrypt a state folder with another key, with the daemon stopped.

The mark ``encryption.json`` says first that a change is under way, then each file changes in one transaction (or one
rename), last the mark says that it is done. Whoever is killed between runs the same command again: values tell by
themselves what they are sealed with. Nothing is deleted before its other form is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from edge.api.rekognition import state_store as answers
from edge.api.rekognition.videos import store as videos
from edge.core.errors import ConflictError, EdgeError, SettingsError, StoreError
from edge.core.settings.schema import Settings
from edge.core.storage import files, layout, vault
from edge.core.storage import keys as vault_keys
from edge.core.storage.keys import EncryptionKey
from edge.core.storage.lock import Lock
from edge.core.storage.sqlite import BUSY_SECONDS, Connection, connect, rewriting
from edge.core.storage.vault import PLAIN, Opening, Resealing, Sealing
from edge.mqtt.outbox import store as events
from edge.pipeline import history
from edge.recognition.review import database as review
from edge.recognition.store import face_rows as faces
from edge.recognition.store.collections import INDEXES, Collections
from edge.recognition.store.schema import GUARD, SEALED_ONLY
from edge.recognition.store.store import FILE as COLLECTIONS
from edge.recognition.store.store import CollectionStore, has_guard
from edge.releases.release_store import ReleaseStore

RECORDS = layout.RECORDS.name
"""folder of lines for other programs, which cannot be encrypted"""
Reseal = Callable[[Connection, Resealing], int]


@dataclass(frozen=True, slots=True)
class EncryptionChange:
    """Result of a change."""

    key: str
    """id of the key in use; empty: decrypted"""
    files: tuple[str, ...]
    """that were written anew"""
    damaged: int
    """damaged values that could not be decrypted: they are deleted"""
    left: tuple[str, ...]
    """files that may hold names and are not encrypted"""


def turn_on(settings: Settings, state: Path) -> EncryptionChange:
    """Encrypt a state folder with the first key, or finish that. Raises as ``change``, SettingsError without a key."""
    found = _marked(state)
    if found is not None and not found.changing:
        vault.of(state)  # says so where its key is missing
        raise ConflictError(f"{state}: is encrypted already, with key {found.key}", "edge encryption rotate changes it")
    return change(settings, state, _first())


def turn_off(settings: Settings, state: Path) -> EncryptionChange:
    """Decrypt everything in a state folder, or finish that. Raises as ``change``."""
    if vault.state(state) is None:
        raise ConflictError(f"{state}: is not encrypted", "edge encryption status")
    return change(settings, state, None)


def rotate(settings: Settings, state: Path) -> EncryptionChange:
    """Re-encrypt with the first key, or finish that; the key in use must be known as well. Raises as ``change``."""
    found = vault.state(state)
    if found is None:
        raise ConflictError(f"{state}: is not encrypted", "edge encryption on")
    if found.key == _first().name and not found.changing:
        hint = "put a new key (edge encryption key) on a line before it, and keep the old one until this is done"
        raise ConflictError(f"{state}: is encrypted with key {found.key}, the first one, already", hint)
    return change(settings, state, _first())


def change(settings: Settings, state: Path, key: EncryptionKey | None) -> EncryptionChange:
    """Store everything with ``key``, or plainly with None.

    Raises ConflictError while a daemon runs, SettingsError where a value was sealed with a key that is not known,
    StoreError where a file cannot be written: then the same command goes on from there.
    """
    slots = ReleaseStore(state)
    with Lock(state), slots.locked() if slots.folder.is_dir() else nullcontext():
        _ready(state)
        _mark(state, key, changing=True)
        anew = Resealing(Opening(), PLAIN if key is None else Sealing(key))
        _without_indexes(state / INDEXES)
        written, damaged = [], 0
        for name, reseal in RESEALS.items():
            if (state / name).exists():
                with rewriting(state / name) as db:
                    damaged += reseal(db, anew)
                written.append(name)
        damaged += slots.reseal(anew)
        _mark(state, key, changing=False)
    with Collections(state, settings.collection, maintain=False) as collections:
        for name in collections.names():
            collections.get(name).rebuild()
    return EncryptionChange(key.name if key else "", tuple(written), damaged, tuple(_left(state) if key else ()))


def _collections(db: Connection, anew: Resealing) -> int:
    db.execute(f"DROP TRIGGER IF EXISTS {SEALED_ONLY}")
    damaged = faces.reseal(db, anew)
    if anew.new.key is not None:
        db.execute(GUARD)
    return damaged


RESEALS: dict[str, Reseal] = {
    COLLECTIONS: _collections,
    review.FILE: review.reseal,
    history.FILE: history.reseal,
    events.FILE: lambda db, anew: events.rewrite(db, anew.old, anew.new)[1],
    videos.FILE: videos.reseal,
    answers.FILE: answers.reseal,
}
"""file -> function that re-encrypts all of its values"""


def _marked(state: Path) -> vault.VaultState | None:
    """The mark; None as well where it was lost or cannot be read: ``turn_on`` makes it again."""
    try:
        return vault.state(state)
    except StoreError:
        return None


def _ready(state: Path) -> None:
    """All keys fit, and the formats are today's, before anything is changed."""
    found = _marked(state)
    if found is not None and found.changing:
        return
    if found is None and _sealed_without_mark(state):
        return
    if found is not None:
        vault.of(state)  # says where a key is missing
    if (state / COLLECTIONS).exists():
        CollectionStore(state).close()
    if (state / review.FILE).exists():
        review.opened(state).close()


def _sealed_without_mark(state: Path) -> bool:
    path = state / COLLECTIONS
    if not path.exists():
        return False
    with closing(connect(path, timeout=BUSY_SECONDS)) as db:
        return has_guard(db)


def _first() -> EncryptionKey:
    key = next(iter(vault_keys.known().values()), None)
    if key is None:
        raise SettingsError(
            "there is no key to encrypt with",
            "edge encryption key > storage-key makes one; it belongs into the credential storage-key, and a copy into "
            "a drawer",
        )
    return key


def _without_indexes(folder: Path) -> None:
    """They are rebuilt from the stored values."""
    try:
        for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.annoy")) + sorted(folder.glob(".*.annoy")):
            path.unlink()
        if folder.is_dir():
            files.sync_folder(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be changed: {error.strerror}", "check the owner and the disk") from error


def _mark(state: Path, key: EncryptionKey | None, changing: bool) -> None:
    try:
        if key is not None or changing:
            vault.write_state(state, key.name if key else "", changing)
        else:
            (state / vault.FILE).unlink(missing_ok=True)
            files.sync_folder(state)
    except OSError as error:
        raise StoreError(f"{state}: cannot be written: {error.strerror}", "run the same command again") from error


def _left(state: Path) -> list[str]:
    """What was set aside as damaged, and lines for other programs."""
    found = [*state.glob("*.damaged-*"), *(state / RECORDS).glob("*.jsonl*")]
    return sorted(str(path.relative_to(state)) for path in found)


@dataclass(frozen=True, slots=True)
class EncryptionStatus:
    """Encryption status of a state folder."""

    encrypted: bool
    key: str
    """id of the key that is needed; empty where none is"""
    changing: bool
    """a change was interrupted"""
    known: tuple[str, ...]
    """ids of the known keys"""
    trouble: str
    """why it cannot be opened; empty where it can"""


def status(state: Path) -> EncryptionStatus:
    """Raises nothing: errors are in ``trouble``."""
    known: tuple[str, ...] = ()
    found: vault.VaultState | None = None
    trouble = ""
    try:
        known = tuple(vault_keys.known())
        found = vault.state(state)
        vault.of(state)
    except EdgeError as error:
        trouble = error.message
    return EncryptionStatus(
        bool(found and found.key), found.key if found else "", bool(found and found.changing), known, trouble
    )
