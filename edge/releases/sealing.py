"""Encryption of release files, so that the hub's public folder reveals no names and no embeddings.

Files with names or pictures of people, and the manifest itself, are encrypted with the fleet key (ChaCha20-Poly1305).
Each device downloads the fleet keys from ``keys/<name>`` beside the blobs, encrypted with the device's own key
(``sync.key``). The fleet key can therefore be rotated remotely, and a single device can be excluded.

Format: ``MAGIC``, the fleet key's id (8 bytes), a nonce (12), the ciphertext with its tag (16). It is bound to the
digest of its content, or to the id of its release.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import FetchError, ReleaseError, SettingsError, TrustError
from edge.core.system.http import Http, RefusedError
from edge.releases.manifest import MOST, Blob, Release, parse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

MAGIC = b"edr\x01"
KEY, ID, NONCE, TAG = 32, 8, 12, 16
"""bytes"""
OVERHEAD = len(MAGIC) + ID + NONCE + TAG
"""bytes added to a file by sealing"""
FOLDER = "keys"
"""below ``sync.url``"""
MOST_KEYS = 64 << 10
"""maximum bytes of a device's key file"""
DEADLINE = 60.0
"""seconds for a sealed manifest, or for a key file"""
FLEET_FILE = "fleet.json"
"""the hub's own key file, in the folder of its online keys"""
SEALED_SINCE = "0.2.0"
"""first version of edge that opens sealed releases"""


def new_key() -> str:
    """A random key, base64."""
    return base64.b64encode(os.urandom(KEY)).decode()


def device_file(device: str) -> str:
    """Name of the key file of ``device``: a hash, so that the folder lists no names."""
    return hashlib.sha256(_purpose(device)).hexdigest()


def release_context(release: str) -> str:
    """Context of a sealed manifest."""
    return f"release {release}"


@dataclass(frozen=True)
class FleetKey:
    """A key shared by the devices of a fleet."""

    secret: str = field(repr=False)
    """32 bytes, base64"""

    @property
    def id(self) -> str:
        """16 hexadecimal digits that do not reveal the key."""
        return hashlib.sha256(b"edge fleet key id " + base64.b64decode(self.secret)).hexdigest()[: 2 * ID]

    def seal(self, data: bytes, context: str) -> bytes:
        return MAGIC + bytes.fromhex(self.id) + _encrypted(self.secret, data, context.encode())


@dataclass(frozen=True)
class FleetKeys:
    """The fleet keys of a device."""

    keys: tuple[FleetKey, ...]

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt a sealed file. Raises ReleaseError without its key, TrustError for another or invalid file."""
        head = len(MAGIC) + ID
        if not sealed.startswith(MAGIC) or len(sealed) < OVERHEAD:
            raise TrustError(
                "a file of the release is not a sealed file", "publish it again; update edge on this device"
            )
        wanted = sealed[len(MAGIC) : head].hex()
        found = next((key for key in self.keys if key.id == wanted), None)
        if found is None:
            raise ReleaseError(
                f"the release is sealed with the fleet's key {wanted}, which this device does not have",
                "see 'edge hub sealing list'; the hub's 'public/keys' folder may be an old one",
            )
        try:
            return _decrypted(found.secret, sealed[head:], context.encode())
        except ValueError as error:
            raise TrustError(
                f"a file that is sealed with the fleet's key {wanted} does not match what the hub sealed",
                "publish again; if that does not help, files are modified in transit",
            ) from error


def for_device(keys: FleetKeys, device: str, device_key: str) -> bytes:
    """The key file of ``device``: fleet keys encrypted with the device's key."""
    document = json.dumps({"format": 1, "keys": [key.secret for key in keys.keys]}).encode()
    return MAGIC + _encrypted(device_key, document, _purpose(device))


def keys_of_device(data: bytes, device: str, device_key: str) -> FleetKeys:
    """Decrypt the output of ``for_device``. Raises TrustError."""
    try:
        if not data.startswith(MAGIC):
            raise ValueError("is not a file of keys")
        document = json.loads(_decrypted(device_key, data[len(MAGIC) :], _purpose(device)))
        return FleetKeys(tuple(FleetKey(str(secret)) for secret in document["keys"]))
    except (ValueError, KeyError, TypeError) as error:
        raise TrustError(
            f"the fleet's keys were not sealed for {device} with the key that is set here (sync.key)",
            f"set sync.key to what 'edge hub sealing key {device}' prints; device.name must be the same there",
        ) from error


@dataclass(frozen=True)
class OpenedSealing:
    """Private files of a release: where each is served, and how it is decrypted."""

    files: Mapping[str, Blob]
    """sha256 of the content -> sealed file"""
    keys: FleetKeys

    def open(self, sha256: str, sealed: bytes) -> bytes:
        """Decrypt and verify a sealed file. Raises ReleaseError, TrustError."""
        data = self.keys.open(sealed, sha256)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TrustError(f"the sealed file of {sha256} contains another file", "publish it again")
        return data


NOT_SEALED = OpenedSealing({}, FleetKeys(()))


def hub_keys(root: Path) -> FleetKeys | None:
    """The fleet keys on the hub's own machine, where ``root`` is the original root.json in the hub's repository.

    None where it is a copy, or where the hub's keys cannot be read.
    """
    repository = root.absolute().parent.parent.parent
    if root.parent.name != "metadata" or root.parent.parent.name != "public":
        return None
    try:
        document = json.loads((repository / "keys" / "online" / FLEET_FILE).read_bytes())
        return FleetKeys(tuple(FleetKey(str(key["key"])) for key in document["keys"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fetch_keys(http: Http, device: str, device_key: str) -> FleetKeys:
    """Download the fleet keys of this device. Raises SettingsError, FetchError, TrustError."""
    if not device_key:
        raise SettingsError(
            "the release is sealed for the fleet, and this device has no key for it",
            f"at the hub: edge hub sealing key {device}; add its line to the settings, or to the credential sync-key",
        )
    try:
        data = _fetched(http, f"{http.base}/{FOLDER}/{device_file(device)}", MOST_KEYS)
    except RefusedError as error:
        if error.status != 404:
            raise
        raise SettingsError(
            f"the release is sealed for the fleet, and the hub has no keys for a device named {device}",
            f"at the hub: edge hub sealing key {device}; serve the whole 'public' folder; device.name must be the same",
        ) from error
    return keys_of_device(data, device, device_key)


def fetch_manifest(http: Http, release: Release, keys: FleetKeys) -> Release:
    """Download the full manifest of a sealed release. Raises FetchError, TrustError, ReleaseError."""
    assert release.sealing is not None, "it is not sealed"  # noqa: S101
    blob = release.sealing.manifest
    if blob is None or blob.size > MOST + OVERHEAD:
        raise ReleaseError(f"release {release.id}: its sealed manifest is not named as expected", "publish it again")
    sealed = _fetched(http, f"{http.base}/blobs/{blob.sha256}", blob.size)
    if hashlib.sha256(sealed).hexdigest() != blob.sha256:
        raise TrustError(
            f"{http.base}/blobs/{blob.sha256}: is not the file that was signed",
            "publish again; if that does not help, files are modified in transit",
        )
    return opened(release, sealed, keys)


def opened(public: Release, sealed: bytes, keys: FleetKeys) -> Release:
    """The full manifest of ``public`` from its sealed bytes. Raises TrustError, ReleaseError."""
    whole = parse(Release, keys.open(sealed, release_context(public.id)))
    facts = [(one.id, one.created, one.minimum, one.erasure) for one in (public, whole)]
    if facts[0] != facts[1]:
        raise ReleaseError(f"release {public.id}: its sealed manifest is that of {whole.id}", "publish it again")
    return whole


def _fetched(http: Http, url: str, most: int) -> bytes:
    data = bytearray()
    with http.get(url) as response:
        for piece in response.pieces(DEADLINE):
            data += piece
            if len(data) > most:
                raise TrustError(f"{url}: is longer than {most} bytes", "check which server responds")
    if not data:
        raise FetchError(f"{url}: is empty", "retried later")
    return bytes(data)


def _purpose(device: str) -> bytes:
    return f"edge/v1 fleet keys of {device}".encode()


def _encrypted(key: str, data: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + _cipher(key).encrypt(nonce, data, context)


def _decrypted(key: str, data: bytes, context: bytes) -> bytes:
    """Raises ValueError."""
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(data[:NONCE], data[NONCE:], context)
    except InvalidTag as error:
        raise ValueError("another key, or another file") from error


def _cipher(key: str) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(base64.b64decode(key))
