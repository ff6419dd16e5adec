"""Annoy: a disposable picture of a collection, built whole, checked by sha256 before it is mapped, and read only.

Three files in one folder: ``<id>.json`` (the manifest, written last), and the tree and row files that it names.
A query on a damaged Annoy file kills the process, so nothing is mapped whose digest is not the manifest's.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import math
import platform
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge import files, vault_files
from edge.collection.vectors import checked
from edge.errors import StoreError
from edge.vault_keys import Key

if TYPE_CHECKING:
    from annoy import AnnoyIndex

    from edge.types import FloatArray

FORMAT = 1
SEED = 20_261_122
PROBES = 400
"""queries that measure an index after it was built"""
PROBE_COSINE = 0.6
"""of a probe to the face that it was made from: about what another picture of the same person has"""
FIRST_SEARCH_K = 1000
TREES = ((5_000, 10), (50_000, 20), (500_000, 50))
"""(faces up to, trees); above them the file would outgrow a board's memory, and search_k pays instead"""
MOST_TREES = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was built of what, and how well it finds."""

    format: int
    store: str
    """identity of the database"""
    collection: int
    space: str
    dimensions: int
    count: int
    last_row: int
    """the newest face inside"""
    last_removal: int
    """the newest removal that it knows"""
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
class Index:
    """A mapped index and the rows of its positions."""

    manifest: Manifest
    tree: AnnoyIndex
    rows: NDArray[np.int64]
    """``faces.row`` of each position, rising"""

    def nearest(self, query: Sequence[float], limit: int) -> tuple[list[int], list[float]]:
        """Positions and cosines, best first."""
        search_k = max(self.manifest.search_k, 4 * limit)
        positions, distances = self.tree.get_nns_by_vector(query, limit, search_k, include_distances=True)
        return positions, [1.0 - distance * distance / 2.0 for distance in distances]


@dataclass(frozen=True, slots=True)
class Source:
    """The faces that an index is to be built of, from one look at the database."""

    store: str
    collection: int
    space: str
    dimensions: int
    last_row: int
    last_removal: int
    pieces: Callable[[], Iterator[tuple[NDArray[np.int64], FloatArray]]]
    """All faces in the order of their rows, in pieces of (m,) rows and (m, D) vectors; called twice."""


def manifest_path(folder: Path, collection: int) -> Path:
    return folder / f"{collection}.json"


def build(folder: Path, source: Source, recall: float, key: Key | None = None) -> Manifest:
    """Build, measure, tune and write an index, sealed with ``key``. Raises StoreError where it cannot be written."""
    from annoy import AnnoyIndex

    tree = AnnoyIndex(source.dimensions, "angular")
    tree.set_seed(SEED)
    random = np.random.default_rng(SEED)
    rows, sample = _survey(source, random)
    if not len(rows):
        raise StoreError(f"collection {source.collection}: has no faces to index", "enroll some first")
    probes = turned(sample, PROBE_COSINE, random)
    nearest = _fill(tree, source, probes)
    trees = next((trees for faces, trees in TREES if len(rows) <= faces), MOST_TREES)
    # one job: the same file from the same vectors
    tree.build(trees, n_jobs=1)
    search_k, reached = _tune(tree, probes, nearest, trees, recall)
    token = secrets.token_hex(4)
    tree_file, row_file = f"{source.collection}-{token}.annoy", f"{source.collection}-{token}.rows"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _save(tree, folder / tree_file, key)
        files.write_bytes(folder / row_file, rows.astype("<i8").tobytes())
        manifest = Manifest(
            format=FORMAT, store=source.store, collection=source.collection, space=source.space,
            dimensions=source.dimensions, count=len(rows), last_row=source.last_row,
            last_removal=source.last_removal, trees=trees, search_k=search_k, seed=SEED, recall=reached,
            probes=len(probes), annoy=importlib.metadata.version("annoy"), machine=platform.machine(),
            tree_file=tree_file, tree_sha256=files.sha256(folder / tree_file),
            row_file=row_file, row_sha256=files.sha256(folder / row_file),
        )  # fmt: skip
        text = json.dumps(asdict(manifest), indent=1)
        files.write_bytes(manifest_path(folder, source.collection), text.encode())
    except OSError as error:
        for name in (tree_file, row_file):
            (folder / name).unlink(missing_ok=True)
        raise StoreError(f"{folder}: the index cannot be written: {error}", "free some space on the disk") from error
    finally:
        tree.unload()
    sweep(folder, source.collection, keep={tree_file, row_file})
    return manifest


def read_manifest(folder: Path, collection: int) -> Manifest | None:
    """The manifest, or None where there is none. Raises StoreError where it cannot be used."""
    path = manifest_path(folder, collection)
    try:
        values = json.loads(path.read_bytes())
        manifest = Manifest(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{path}: is not a manifest: {error}", "it is built again by itself") from error
    mistyped = [key for key, value in values.items() if type(value).__name__ != Manifest.__annotations__[key]]
    if mistyped:
        raise StoreError(f"{path}: {mistyped[0]} has the wrong type", "it is built again by itself")
    return manifest


def load(folder: Path, manifest: Manifest, key: Key | None = None) -> Index:
    """Verify the files of a manifest, then map them. Reading them for the digest also warms the page cache.

    What was sealed is mapped from memory: it takes as much as the file has bytes, and no disk sees it.

    Raises StoreError where anything is not as the manifest says.
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
        raise StoreError(f"{folder}: the index cannot be read: {error}", "it is built again by itself") from error
    return Index(manifest, tree, rows)


def sweep(folder: Path, collection: int, keep: set[str]) -> None:
    """Remove what earlier builds, interrupted ones too, have left of a collection. What is mapped stays readable."""
    for path in folder.glob(f"*{collection}-*"):
        owner = path.name.lstrip(".").partition("-")[0]
        if owner == str(collection) and path.name not in keep:
            path.unlink(missing_ok=True)


def remove(folder: Path, collection: int) -> None:
    """Remove the index of a collection."""
    manifest_path(folder, collection).unlink(missing_ok=True)
    sweep(folder, collection, keep=set())


def _survey(source: Source, random: np.random.Generator) -> tuple[NDArray[np.int64], FloatArray]:
    """The rows of all faces, and the vectors of a random sample of them."""
    rows: list[NDArray[np.int64]] = []
    keys = np.zeros(0)
    sample = np.zeros((0, source.dimensions), np.float32)
    for piece_rows, vectors in source.pieces():
        rows.append(piece_rows)
        keys = np.concatenate((keys, random.random(len(vectors))))
        sample = np.concatenate((sample, vectors))
        lowest = np.argsort(keys)[:PROBES]
        keys, sample = keys[lowest], sample[lowest]
    return np.concatenate(rows) if rows else np.zeros(0, np.int64), sample


def _fill(tree: AnnoyIndex, source: Source, probes: FloatArray) -> NDArray[np.int64]:
    """Add all vectors; on the way find the positions of the probes' true nearest neighbours."""
    top = np.full(len(probes), -np.inf, np.float32)
    nearest = np.zeros(len(probes), np.int64)
    position = 0
    for _, vectors in source.pieces():
        similarities = probes @ vectors.T
        columns = similarities.argmax(axis=1)
        values = similarities[np.arange(len(probes)), columns]
        nearest = np.where(values > top, columns + position, nearest)
        top = np.maximum(values, top)
        for vector in vectors.tolist():
            tree.add_item(position, vector)
            position += 1
    return nearest


def turned(vectors: FloatArray, cosine: float, random: np.random.Generator) -> FloatArray:
    """Each unit vector turned away in a random direction, to this cosine."""
    if vectors.shape[1] < 2:
        return vectors
    noise = random.standard_normal(vectors.shape, dtype=np.float32)
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    probes = cosine * vectors + math.sqrt(1 - cosine**2) * noise
    return checked(probes / np.linalg.norm(probes, axis=1, keepdims=True))


def _tune(
    tree: AnnoyIndex, probes: FloatArray, nearest: NDArray[np.int64], trees: int, recall: float
) -> tuple[int, float]:
    """The smallest search_k that reaches ``recall``, and what it reaches. At the end of the ladder it is exact."""
    # a sample tells recall to about half a percent: aim at half the misses that are allowed
    goal = (1.0 + recall) / 2
    search_k, exhaustive = FIRST_SEARCH_K, tree.get_n_items() * trees
    while True:
        search_k = min(search_k, max(exhaustive, FIRST_SEARCH_K))
        found = [tree.get_nns_by_vector(probe, 1, search_k) for probe in probes.tolist()]
        reached = sum(hit == [int(true)] for hit, true in zip(found, nearest, strict=True)) / len(probes)
        if reached >= goal or search_k >= exhaustive:
            return search_k, reached
        search_k = search_k * 3 // 2


def _save(tree: AnnoyIndex, path: Path, key: Key | None) -> None:
    """Annoy writes in place and does not sync: write beside, sync, rename."""
    if key is not None:
        with vault_files.memory(path.name) as plain:
            tree.save(str(plain))
            vault_files.write(plain, path, key, path.name)
        return
    temporary = path.with_name(f".{path.name}")
    try:
        tree.save(str(temporary))
        temporary.chmod(0o600)
        files.sync_file(temporary)
        temporary.replace(path)
        files.sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _map(tree: AnnoyIndex, path: Path, key: Key | None) -> None:
    if key is not None:
        with vault_files.memory(path.name) as plain:
            vault_files.read(path, plain, key, path.name)
            tree.load(str(plain), prefault=True)
        return
    _expect("encryption", vault_files.is_sealed(path), False)
    tree.load(str(path), prefault=True)


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise StoreError(f"index: expected {what} {wanted!r}, got {got!r}", "it is built again by itself")
