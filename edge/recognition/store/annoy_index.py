"""Annoy index of a collection: rebuildable, written by ``index_builder``, verified by sha256 before it is mapped.

Three files in one folder: ``<id>.json`` (the manifest, written last), and the tree and row files that it names.
A query on a damaged Annoy file crashes the process, so only files with the manifest's digest are mapped.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.core.storage import sealed_files as vault_files
from edge.core.storage.keys import EncryptionKey
from edge.core.system import hardware as board

if TYPE_CHECKING:
    from annoy import AnnoyIndex


FORMAT = 1

log = logging.getLogger(__name__)

MISSING = "annoy is not installed: search is exact"


def installed() -> bool:
    """Whether annoy is installed: its installation requires a compiler."""
    return importlib.util.find_spec("annoy") is not None


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """Manifest of an index: its source and its recall."""

    format: int
    store: str
    """identity of the database"""
    collection: int
    space: str
    dimensions: int
    count: int
    last_row: int
    """row of the newest indexed face"""
    last_removal: int
    """sequence of the newest removal that is applied"""
    trees: int
    search_k: int
    seed: int
    recall: float
    """recall@1 against exact search, measured on the built index"""
    probes: int
    annoy: str
    """version"""
    machine: str
    tree_file: str
    tree_sha256: str
    row_file: str
    row_sha256: str


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """A mapped index and the rows of its positions."""

    manifest: IndexManifest
    tree: AnnoyIndex
    rows: NDArray[np.int64]
    """``faces.row`` of each position, ascending"""

    def nearest(self, query: Sequence[float], limit: int) -> tuple[list[int], list[float]]:
        """Positions and cosines of the ``limit`` nearest, best first."""
        search_k = max(self.manifest.search_k, 4 * limit)
        positions, distances = self.tree.get_nns_by_vector(query, limit, search_k, include_distances=True)
        return positions, [1.0 - distance * distance / 2.0 for distance in distances]


def manifest_path(folder: Path, collection: int) -> Path:
    return folder / f"{collection}.json"


def read_manifest(folder: Path, collection: int) -> IndexManifest | None:
    """The manifest, or None if there is none. Raises StoreError if it is invalid."""
    path = manifest_path(folder, collection)
    try:
        values = json.loads(path.read_bytes())
        manifest = IndexManifest(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{path}: is not a manifest: {error}", "it is rebuilt automatically") from error
    mistyped = [key for key, value in values.items() if type(value).__name__ != IndexManifest.__annotations__[key]]
    if mistyped:
        raise StoreError(f"{path}: {mistyped[0]} has the wrong type", "it is rebuilt automatically")
    return manifest


def load(folder: Path, manifest: IndexManifest, key: EncryptionKey | None = None) -> VectorIndex:
    """Verify the files of a manifest, then map them. Reading them for the digest also warms the page cache.

    An encrypted index is decrypted into memory (as much as the size of the file), never to disk.

    Raises StoreError if anything differs from the manifest.
    """
    from annoy import AnnoyIndex

    try:
        _expect("format", manifest.format, FORMAT)
        _expect("annoy", manifest.annoy, importlib.metadata.version("annoy"))
        _expect("machine", manifest.machine, platform.machine())
        for name, digest in (
            (manifest.tree_file, manifest.tree_sha256),
            (manifest.row_file, manifest.row_sha256),
        ):
            _expect("file name", name, Path(name).name)
            _expect(f"sha256 of {name}", files.sha256(folder / name), digest)
        rows = np.fromfile(folder / manifest.row_file, "<i8")
        _expect("rows", len(rows), manifest.count)
        tree = AnnoyIndex(manifest.dimensions, "angular")
        _map(tree, folder / manifest.tree_file, key)
        _expect("items", tree.get_n_items(), manifest.count)
    except OSError as error:
        raise StoreError(f"{folder}: the index cannot be read: {error}", "it is rebuilt automatically") from error
    return VectorIndex(manifest, tree, rows)


def keep_warm(folder: Path, manifest: IndexManifest) -> None:
    """Read evicted pages of a mapped index again, so that searches do not wait for the disk.

    Does nothing if the available memory is too low.
    """
    path = folder / manifest.tree_file
    try:
        if 2 * path.stat().st_size > board.available():
            return
        if board.prefault(path.resolve()):
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # replaced by another index
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(descriptor)


def sweep(folder: Path, collection: int, keep: set[str]) -> None:
    """Delete files of earlier and interrupted builds of a collection. Mapped files stay readable."""
    for path in folder.glob(f"*{collection}-*"):
        owner = path.name.lstrip(".").partition("-")[0]
        if owner == str(collection) and path.name not in keep:
            path.unlink(missing_ok=True)


def remove(folder: Path, collection: int) -> None:
    """Remove the index of a collection."""
    manifest_path(folder, collection).unlink(missing_ok=True)
    sweep(folder, collection, keep=set())


def _map(tree: AnnoyIndex, path: Path, key: EncryptionKey | None) -> None:
    if key is not None:
        with vault_files.memory(path.name) as plain:
            vault_files.read(path, plain, key, path.name)
            tree.load(str(plain), prefault=True)
        return
    _expect("encryption", vault_files.is_sealed(path), False)
    tree.load(str(path), prefault=True)


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise StoreError(f"index: expected {what} {wanted!r}, got {got!r}", "it is rebuilt automatically")
