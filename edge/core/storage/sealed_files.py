"""Encrypted files: written from memory and decrypted into memory, in chunks, so that no plain data touches a disk.

After the head (``MAGIC``, the key's id, a salt) come pieces of ``PIECE`` bytes, each with its tag. A piece is bound to
its number, to whether it is the last, and to the place of the file: none can be left out, exchanged or cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.core.storage.keys import EncryptionKey
from edge.core.storage.vault import HEAD, MAGIC

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PIECE, TAG, SALT = 1 << 20, 16, 16
"""bytes"""


@contextmanager
def memory(name: str) -> Iterator[Path]:
    """An anonymous file in memory, as a path of this process. Mappings stay valid."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def write(source: Path, target: Path, key: EncryptionKey, place: str) -> None:
    """Encrypt ``source`` into ``target``, whole or not at all. Raises OSError."""
    salt = os.urandom(SALT)
    cipher = _cipher(key, salt)
    with source.open("rb") as plain, files.replacing(target) as out:
        out.write(MAGIC + key.id + salt)
        number, piece = 0, plain.read(PIECE)
        while True:
            following = plain.read(PIECE)
            out.write(cipher.encrypt(_nonce(number, last=not following), piece, place.encode()))
            if not following:
                return
            number, piece = number + 1, following


def read(source: Path, target: Path, key: EncryptionKey, place: str) -> None:
    """Decrypt ``source`` into ``target``. Raises StoreError for another key or a damaged file, OSError."""
    with source.open("rb") as file, target.open("wb") as out:
        head, salt = file.read(HEAD), file.read(SALT)
        if head != MAGIC + key.id:
            raise StoreError(f"{source}: is not encrypted with key {key.name}", "it is created again automatically")
        cipher = _cipher(key, salt)
        for piece, nonce in _pieces(file):
            out.write(_opened(cipher, nonce, piece, place, source))


def is_sealed(path: Path) -> bool:
    """Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _pieces(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    number, piece = 0, file.read(PIECE + TAG)
    while True:
        following = file.read(PIECE + TAG)
        yield piece, _nonce(number, last=not following)
        if not following:
            return
        number, piece = number + 1, following


def _opened(cipher: ChaCha20Poly1305, nonce: bytes, piece: bytes, place: str, source: Path) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, piece, place.encode())
    except (InvalidTag, ValueError) as error:
        raise StoreError(f"{source}: is damaged, or is another file", "it is created again automatically") from error


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _cipher(key: EncryptionKey, salt: bytes) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt, b"edge file").derive(key.files))
