"""Encryption keys of state folders: 32 random bytes each, from the settings of this process."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from edge.core.errors import SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV, ChaCha20Poly1305

BYTES, ID_BYTES = 32, 8

_given = ""


def use(keys: str) -> None:
    """Set the encryption keys of this process, one per line."""
    global _given  # global: every way into a state folder needs them, as it needs the environment
    _given = keys


def given() -> str:
    """The keys as ``use`` took them, for a child process."""
    return _given


def known() -> dict[str, EncryptionKey]:
    """The encryption keys of this process by id, in the order of configuration. Raises SettingsError."""
    return {key.name: key for key in _parsed(_given)}


def new_key() -> str:
    """A random key, as a credential holds it."""
    return base64.b64encode(os.urandom(BYTES)).decode()


@dataclass(frozen=True)
class EncryptionKey:
    """Secrets derived from its 32 bytes (HKDF-SHA256), one for each use."""

    id: bytes
    values: ChaCha20Poly1305
    names: AESSIV
    files: bytes

    @property
    def name(self) -> str:
        """The id, as ``encryption.json`` and messages have it. It does not reveal the key."""
        return self.id.hex()


@lru_cache(maxsize=8)
def _parsed(keys: str) -> tuple[EncryptionKey, ...]:
    return tuple(_derived(line.strip()) for line in keys.splitlines() if line.strip())


def _derived(line: str) -> EncryptionKey:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV, ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    try:
        secret = base64.b64decode(line, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != BYTES:
        raise SettingsError(
            f"encryption.key: expected {BYTES} bytes in base64 per line, got something else",
            "make one with edge encryption key",
        )

    def derived(use_: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, None, b"edge " + use_).derive(secret)

    values, names = ChaCha20Poly1305(derived(b"values", 32)), AESSIV(derived(b"names", 64))
    return EncryptionKey(derived(b"id", ID_BYTES), values, names, derived(b"files", 32))
