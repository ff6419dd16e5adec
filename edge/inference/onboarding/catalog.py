"""The models that can be fetched by name: where they are upstream, and what their bytes must be."""

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
    """of the model; empty: we have not seen these bytes, whoever fetches them must say what they are"""
    size: int = 0
    """bytes; 0: not known"""
    member: str = ""
    """the model's name inside, where the address is that of a zip archive"""
    card: str = ""
    """name of a ready card; empty: one is proposed"""
    labels: int = 0
    """how many usual labels a proposed card gets: 1 (face), 80 or 90 (COCO)"""
    by_hand: str = ""
    """what its owner does instead: ``url`` is a page, and nothing there runs here as it is"""


def offers(path: Path = FILE) -> dict[str, Offer]:
    """The catalog. Raises InputError where it breaks a rule."""
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
    """The model's file in ``folder``, verified. ``sha256``: what somebody vouches for; empty: the catalog's.

    Raises InputError without any digest, and what ``download.fetch`` raises.
    """
    if found.by_hand:
        raise InputError(f"model {found.name!r}: there is no .tflite at {found.url}", found.by_hand)
    digest = (sha256 or found.sha256).lower()
    if not digest:
        raise InputError(
            f"model {found.name!r}: nobody here has seen the bytes behind {found.url}",
            "find the digest at its publisher and say --sha256 HEX; edge models add takes a file you have",
        )
    target = folder / f"{found.name}.tflite"
    if found.member:
        return _from_archive(found, digest, target, progress)
    if not (target.is_file() and files.sha256(target) == digest):
        download.fetch(download.DownloadRequest(found.url, digest), target, progress)
    return target


def _from_archive(found: Offer, digest: str, target: Path, progress: Callable[[int, int], None]) -> Path:
    """The digest is the member's, so that of the archive is not known before it is here: it is unpacked to see."""
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
        raise StoreError(f"{target}: cannot be written: {error}", "make room there") from error
    finally:
        archive.unlink(missing_ok=True)
    if (got := files.sha256(target)) != digest:
        target.unlink()
        raise InputError(
            f"{found.url}: expected {found.member} to have sha256 {digest}, got {got}; it is deleted", "fetch it again"
        )
    return target
