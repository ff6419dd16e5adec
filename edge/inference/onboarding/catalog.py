"""Model catalog: models that can be downloaded by name, with URL, size and digest."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from edge.core.compat import tomllib
from edge.core.errors import InputError, NotFoundError, StoreError
from edge.core.resources import DATA
from edge.core.storage import files
from edge.core.system import download

FILE = DATA / "catalog.toml"


@dataclass(frozen=True)
class Offer:
    """One entry of the catalog."""

    name: str
    url: str
    licence: str
    about: str
    sha256: str = ""
    """digest of the model; empty: unverified, the digest must be given for the download"""
    size: int = 0
    """bytes; 0: not known"""
    member: str = ""
    """name of the model inside the zip archive at ``url``; empty: not an archive"""
    card: str = ""
    """name of a bundled card; empty: a card is proposed"""
    labels: int = 0
    """number of labels of a proposed card: 1 (face), 80 or 90 (COCO)"""
    by_hand: str = ""
    """manual steps: ``url`` is a page without a usable model"""


def offers(path: Path = FILE) -> dict[str, Offer]:
    """Read the catalog. Raises InputError if it is invalid."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: Offer(name=name, **entry) for name, entry in table.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        keys = ", ".join(field.name for field in fields(Offer))
        raise InputError(f"catalog {path}: {error}", f"correct it; the keys are {keys}") from error


def offer(name: str, path: Path = FILE) -> Offer:
    """One entry. Raises NotFoundError with the known names."""
    known = offers(path)
    if name not in known:
        raise NotFoundError(f"the catalog has no {name!r}; it has {', '.join(known)}", "choose one of these names")
    return known[name]


def fetch(found: Offer, sha256: str, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Download a model into ``folder`` and verify it. ``sha256``: expected digest; empty: the catalog's.

    Raises InputError without any digest, and the errors of ``download.fetch``.
    """
    if found.by_hand:
        raise InputError(f"model {found.name!r}: there is no .tflite at {found.url}", found.by_hand)
    digest = (sha256 or found.sha256).lower()
    if not digest:
        raise InputError(
            f"model {found.name!r}: the catalog has no digest for {found.url}",
            "pass the publisher's digest with --sha256 HEX, or add a local file with edge models add",
        )
    target = folder / f"{found.name}.tflite"
    if found.member:
        return _from_archive(found, digest, target, progress)
    if not (target.is_file() and files.sha256(target) == digest):
        download.fetch(download.DownloadRequest(found.url, digest), target, progress)
    return target


def _from_archive(found: Offer, digest: str, target: Path, progress: Callable[[int, int], None]) -> Path:
    """Download an archive and extract the model; the digest is that of the extracted member."""
    archive = target.with_suffix(".zip")
    download.fetch(download.DownloadRequest(found.url, ""), archive, progress)
    try:
        with zipfile.ZipFile(archive) as bundle, bundle.open(found.member) as reader, files.replacing(target) as writer:
            if bundle.getinfo(found.member).file_size > download.MOST_BYTES:
                raise InputError(f"{found.url}: {found.member} is too large", "check the address")
            shutil.copyfileobj(reader, writer)
    except (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{found.url}: expected a zip archive with {found.member}: {error}", "fetch it again"
        ) from error
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error}", "free some space on the disk") from error
    finally:
        archive.unlink(missing_ok=True)
    if (got := files.sha256(target)) != digest:
        target.unlink()
        raise InputError(
            f"{found.url}: expected {found.member} to have sha256 {digest}, got {got}; it is deleted", "fetch it again"
        )
    return target
