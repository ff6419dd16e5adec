"""Encryption at rest of names, embeddings and pictures in the files of a state folder.

A folder is encrypted where it holds ``encryption.json``; elsewhere ``of`` returns a vault that stores values
unchanged. Each value is encrypted separately (ChaCha20-Poly1305) and bound to its place, so that values cannot be
exchanged; names are encrypted deterministically (AES-SIV), so that they can be looked up. The keys are those of
``edge.core.storage.keys``; the file names the one in use by its id.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.errors import SettingsError, StoreError
from edge.core.storage import files, layout
from edge.core.storage.keys import ID_BYTES, EncryptionKey, known

FILE = layout.ENCRYPTION.name
FORMAT = 1
MAGIC = b"edg\x01"
"""first bytes of every encrypted value; the id of its key follows"""
NONCE_BYTES = 12
HEAD = len(MAGIC) + ID_BYTES
Stored = str | bytes
"""a stored value: plain text or bytes, or encrypted bytes"""

_HINT_KEY = "put the key that was used here into the credential storage-key (or encryption.key), beside the others"
_HINT_MIXED = "edge encryption status says what is encrypted; restore a damaged file from a backup"


def of(folder: Path) -> Vault:
    """The vault of a state folder. Raises SettingsError without its key, StoreError where a change is unfinished."""
    found = state(folder)
    if found is None:
        return PLAIN
    if found.changing:
        raise StoreError(
            f"{folder / FILE}: a change of the encryption was interrupted; nothing is lost",
            "run the same command again: edge encryption on, off or rotate",
        )
    ring = known()
    if found.key not in ring:
        there = f"got {', '.join(ring)}" if ring else "and there is none"
        raise SettingsError(f"{folder}: is encrypted with key {found.key}, {there}", _HINT_KEY)
    return Sealing(ring[found.key])


@dataclass(frozen=True, slots=True)
class VaultState:
    """Content of ``encryption.json``."""

    key: str
    """id of the key that values are encrypted with, or are being encrypted with; empty: they are being decrypted"""
    changing: bool


def state(folder: Path) -> VaultState | None:
    """None where a folder is not encrypted. Raises StoreError."""
    try:
        data: Any = json.loads((folder / FILE).read_bytes())
        found = VaultState(str(data["key"]), bool(data["changing"]))
        if data["format"] != FORMAT:
            raise StoreError(f"{folder / FILE}: expected format {FORMAT}, got {data['format']!r:.40}", "update edge")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{folder / FILE}: cannot be read: {error}", "run edge encryption on again, with the key that was used"
        ) from error
    return found


def write_state(folder: Path, key: str, changing: bool) -> None:
    """Raises OSError."""
    document = {"format": FORMAT, "key": key, "changing": changing}
    files.write_bytes(folder / FILE, json.dumps(document).encode() + b"\n")


class Vault:
    """Stores values unchanged. ``Sealing`` encrypts; a value of one is invalid for the other."""

    key: EncryptionKey | None = None

    def name(self, text: str | None) -> Stored | None:
        """A name as it is stored and looked up."""
        return text

    def named(self, value: Stored | None) -> str | None:
        """The name of a stored value. Raises StoreError."""
        return value if value is None else self.open_text(value)

    def seal(self, data: bytes, *_: object) -> bytes:
        """``data`` as it is stored at ``place``: table, column, and what identifies the row."""
        return data

    def open(self, value: Stored, *_: object) -> bytes:
        """The data of a stored value. Raises StoreError where it is damaged, or was stored at another place."""
        if not isinstance(value, bytes) or value.startswith(MAGIC):
            raise StoreError("a value is encrypted, and this folder is not", _HINT_MIXED)
        return value

    def seal_text(self, text: str, *_: object) -> Stored:
        return text

    def open_text(self, value: Stored, *_: object) -> str:
        """Raises StoreError."""
        if not isinstance(value, str):
            raise StoreError("a value is encrypted, and this folder is not", _HINT_MIXED)
        return value


PLAIN = Vault()


class Sealing(Vault):
    """Encrypts with one key, and decrypts values of that key."""

    key: EncryptionKey

    def __init__(self, key: EncryptionKey) -> None:
        self.key = key
        self._head = MAGIC + key.id

    def name(self, text: str | None) -> Stored | None:
        return None if text is None else self._head + self.key.names.encrypt(text.encode(), [b"name"])

    def named(self, value: Stored | None) -> str | None:
        if value is None:
            return None
        return _tried(lambda: self.key.names.decrypt(self._body(value), [b"name"])).decode()

    def seal(self, data: bytes, *place: object) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return self._head + nonce + self.key.values.encrypt(nonce, data, _bound(place))

    def open(self, value: Stored, *place: object) -> bytes:
        body = self._body(value)
        return _tried(lambda: self.key.values.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], _bound(place)))

    def seal_text(self, text: str, *place: object) -> Stored:
        return self.seal(text.encode(), *place)

    def open_text(self, value: Stored, *place: object) -> str:
        return self.open(value, *place).decode()

    def _body(self, value: Stored) -> bytes:
        if not isinstance(value, bytes) or not value.startswith(self._head):
            raise StoreError(f"a value is not encrypted with key {self.key.name}", _HINT_MIXED)
        return value[HEAD:]


class Opening(Vault):
    """Decrypts values of any known key, and returns plain values unchanged: for a change of the encryption."""

    def __init__(self) -> None:
        self._ring = {key.id: Sealing(key) for key in known().values()}

    def named(self, value: Stored | None) -> str | None:
        return value if value is None or isinstance(value, str) else self._of(value).named(value)

    def open(self, value: Stored, *place: object) -> bytes:
        if isinstance(value, str):
            return value.encode()
        return self._of(value).open(value, *place) if sealed(value) else value

    def open_text(self, value: Stored, *place: object) -> str:
        return value if isinstance(value, str) else self._of(value).open_text(value, *place)

    def _of(self, value: bytes) -> Sealing:
        used = value[len(MAGIC) : HEAD]
        found = self._ring.get(used)
        if found is None:
            raise SettingsError(
                f"values are encrypted with key {used.hex()}, which is not among the known ones", _HINT_KEY
            )
        return found


@dataclass(frozen=True, slots=True)
class Resealing:
    """Re-encryption: stored values of one vault as another stores them. Raises StoreError, SettingsError."""

    old: Vault
    new: Vault

    def name(self, value: Stored | None) -> Stored | None:
        return self.new.name(self.old.named(value))

    def data(self, value: Stored, *place: object) -> bytes:
        return self.new.seal(self.old.open(value, *place), *place)

    def text(self, value: Stored, *place: object) -> Stored:
        return self.new.seal_text(self.old.open_text(value, *place), *place)


def sealed(value: object) -> bool:
    """Whether a stored value is encrypted."""
    return isinstance(value, bytes) and value.startswith(MAGIC)


def _bound(place: tuple[object, ...]) -> bytes:
    return json.dumps(place).encode()


def _tried(open_: Callable[[], bytes]) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return open_()
    except (InvalidTag, ValueError) as error:
        raise StoreError("an encrypted value is damaged, or was moved from another place", _HINT_MIXED) from error
