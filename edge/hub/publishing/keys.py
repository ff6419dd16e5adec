"""Ed25519 signing keys, one PEM file per role: root and targets are kept offline, the others at the hub.

``EDGE_KEY_PASSPHRASE`` encrypts new offline keys and decrypts existing ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.core.storage import files

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

OFFLINE, ONLINE = ("root", "targets"), ("snapshot", "timestamp", "deploy")
PASSPHRASE = "EDGE_KEY_PASSPHRASE"  # noqa: S105


class Keys:
    """Folders of online and offline private keys; the offline one may be removable media that is not mounted."""

    def __init__(self, online: Path, offline: Path) -> None:
        self.online, self.offline = online, offline

    def path(self, role: str) -> Path:
        return (self.offline if role in OFFLINE else self.online) / f"{role}.pem"

    def make(self, role: str, replace: bool = False) -> CryptoSigner:
        """Create a key for a role. ``replace`` keeps the old one as ``<role>.pem.old``.

        Raises ConflictError where there is a key and not ``replace``.
        """
        from cryptography.hazmat.primitives import serialization as forms
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from securesystemslib.signer import CryptoSigner

        path = self.path(role)
        if path.exists():
            if not replace:
                raise ConflictError(f"{path}: the key exists already", "edge hub rotate replaces it")
            path.replace(path.with_suffix(".pem.old"))
        key = Ed25519PrivateKey.generate()
        passphrase = os.environ.get(PASSPHRASE, "").encode() if role in OFFLINE else b""
        encryption = forms.BestAvailableEncryption(passphrase) if passphrase else forms.NoEncryption()
        pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, encryption)
        files.write_bytes(path, pem, mode=0o600)
        return CryptoSigner(key)

    def signer(self, role: str, old: bool = False) -> CryptoSigner:
        """The key of a role; with ``old`` the replaced one.

        Raises NotFoundError where the file cannot be read, InputError for a wrong passphrase.
        """
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner

        path = self.path(role).with_suffix(".pem.old") if old else self.path(role)
        try:
            pem = path.read_bytes()
        except OSError as error:
            hint = "give the folder of offline keys with --keys" if role in OFFLINE else "edge hub rotate ROLE"
            raise NotFoundError(f"key of {role}: cannot read {path}: {error.strerror}", hint) from error
        passphrase = os.environ.get(PASSPHRASE, "").encode() or None
        try:
            return CryptoSigner(load_pem_private_key(pem, passphrase if b"ENCRYPTED" in pem else None))
        except (ValueError, TypeError) as error:
            raise InputError(f"key of {role}: cannot decrypt {path}", f"set {PASSPHRASE}") from error

    def has(self, role: str) -> bool:
        return self.path(role).exists()
