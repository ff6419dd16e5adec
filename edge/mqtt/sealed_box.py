"""Sealed boxes: end-to-end encryption between a device and its hub across the broker.

The key is specific to one device, derived from the private key that signs commands and the device's name: the hub
stores no other secret, and a stolen device reveals no other key. ChaCha20-Poly1305 authenticates the context
that both sides have (device, operation, challenge), so that a response cannot be forged, changed or replayed.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Literal

from edge.core.errors import TrustError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Purpose = Literal["enrolments", "review"]
"""what a device shares: each has a key of its own, and ``commands.<purpose>_key`` enables it"""
NONCE = 12
"""bytes"""


def key_of(private: Ed25519PrivateKey, device: str, purpose: Purpose = "enrolments") -> str:
    """The key of ``device`` in the format of ``commands.<purpose>_key``: 32 bytes, base64."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"edge/v1 {purpose} of {device}".encode()
    made = HKDF(SHA256(), 32, salt=None, info=info).derive(private.private_bytes_raw())
    return base64.b64encode(made).decode()


def seal(key: str, data: bytes, context: bytes) -> str:
    """``data`` encrypted, base64."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce = secrets.token_bytes(NONCE)
    return base64.b64encode(nonce + ChaCha20Poly1305(base64.b64decode(key)).encrypt(nonce, data, context)).decode()


def unseal(key: str, sealed: str, context: bytes, purpose: Purpose = "enrolments") -> bytes:
    """Decrypt the output of ``seal``. Raises TrustError for another key or context, or damaged data."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        data = base64.b64decode(sealed, validate=True)
        opened: bytes = ChaCha20Poly1305(base64.b64decode(key)).decrypt(data[:NONCE], data[NONCE:], context)
    except (InvalidTag, ValueError) as error:
        raise TrustError(
            "the message was not sealed with this device's key",
            f"set commands.{purpose}_key on the device to what 'edge hub {purpose} key' prints; if it is already, "
            "messages are forged at the broker",
        ) from error
    return opened
