"""Signing of a release where its key is: the hub writes a file, the machine with the offline keys signs it.

The file is the next metadata of ``targets`` without a signature (TUF's own format), so that the key never comes to the
hub. Until the signed file comes back, the hub keeps what it needs to finish the release, ``signing.json``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.core.storage import files
from edge.hub.publishing import draft as drafts
from edge.hub.publishing.keys import Keys
from edge.hub.publishing.repository import read_targets

FILE = "signing.json"


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A release that waits for its signature."""

    release: str
    to_sign: bytes
    """metadata of ``targets`` without a signature"""
    draft: drafts.Draft
    """as it is published"""


@dataclass(frozen=True, slots=True)
class SignedMetadata:
    """Metadata that was signed, and what it says."""

    data: bytes
    version: int
    releases: tuple[str, ...]
    """every release that is valid with it"""


def keep(private: Path, request: SigningRequest) -> None:
    """Store the request; it replaces an earlier one. Raises OSError."""
    document = {
        "release": request.release,
        "to_sign": request.to_sign.decode(),
        "draft": drafts.document(request.draft),
    }
    files.write_bytes(private / FILE, json.dumps(document).encode())


def pending(private: Path) -> SigningRequest | None:
    """The release that waits for its signature; None: none does. Raises InputError for a damaged file."""
    path = private / FILE
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_bytes())
        draft = drafts.parsed(document["draft"])
        return SigningRequest(str(document["release"]), str(document["to_sign"]).encode(), draft)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged: {error}", "delete it, and make the file to sign again") from error


def drop(private: Path) -> None:
    """Forget the request."""
    (private / FILE).unlink(missing_ok=True)


def matching(private: Path, signed: bytes) -> SigningRequest:
    """The request whose signed file is ``signed``.

    Raises NotFoundError where no release waits, ConflictError for the file of another release, InputError.
    """
    request = pending(private)
    if request is None:
        raise NotFoundError("no release waits for a signature", "make a file to sign first")
    if _digest(signed) != _digest(request.to_sign):
        raise ConflictError(
            f"the file is not the one that was made for release {request.release}",
            "sign the latest file, or make it again",
        )
    return request


def sign(data: bytes, keys: Path) -> SignedMetadata:
    """Sign a file with the targets key in ``keys``. Raises InputError, NotFoundError without the key."""
    metadata = read_targets(data)
    metadata.sign(Keys(keys, keys).signer("targets"))
    releases = tuple(Path(name).stem for name in metadata.signed.targets)
    return SignedMetadata(metadata.to_bytes(), metadata.signed.version, releases)


def _digest(data: bytes) -> str:
    return hashlib.sha256(read_targets(data).signed_bytes).hexdigest()
