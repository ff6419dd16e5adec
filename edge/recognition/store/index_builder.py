"""Index builder: fills an Annoy index from the database in chunks, measures it against exact search, tunes, writes it.

The trees are built in their final file, so that a build needs little more memory than a chunk: the kernel
can write pages to disk. An encrypted index is built in memory, never in plain text on disk.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import StoreError
from edge.core.storage import files
from edge.core.storage import sealed_files as vault_files
from edge.core.storage.keys import EncryptionKey
from edge.recognition.store.annoy_index import FORMAT, IndexManifest, manifest_path, sweep
from edge.recognition.store.vectors import checked

if TYPE_CHECKING:
    from annoy import AnnoyIndex

    from edge.core.types import FloatArray

SEED = 20_261_122
PROBES = 400
"""number of queries that measure an index"""
PROBE_COSINE = 0.6
"""cosine of a probe to its face: typical of another picture of the same person"""
FIRST_SEARCH_K = 1000
TREES = ((5_000, 10), (20_000, 20), (500_000, 50))
"""(maximum faces, trees); fewer trees for large collections limit the file size, a larger search_k compensates"""
MOST_TREES = 20


@dataclass(frozen=True, slots=True)
class IndexSource:
    """The faces to index, in one read transaction."""

    store: str
    collection: int
    space: str
    dimensions: int
    last_row: int
    last_removal: int
    pieces: Callable[[], Iterator[tuple[NDArray[np.int64], FloatArray]]]
    """All faces ordered by row, in chunks of (m,) rows and (m, D) vectors; called twice."""


def build(
    folder: Path, source: IndexSource, recall: float, key: EncryptionKey | None = None, on_disk: bool = False
) -> IndexManifest:
    """Build, measure, tune and write an index, encrypted with ``key``. Raises StoreError if it cannot be written.

    ``on_disk``: build it in its file, only in a child process: a full disk raises SIGBUS.
    """
    random = np.random.default_rng(SEED)
    rows, sample = _survey(source, random)
    if not len(rows):
        raise StoreError(f"collection {source.collection} has no faces to index", "enroll some first")
    probes = turned(sample, PROBE_COSINE, random)
    trees = next((trees for faces, trees in TREES if len(rows) <= faces), MOST_TREES)
    token = secrets.token_hex(4)
    tree_file, row_file = f"{source.collection}-{token}.annoy", f"{source.collection}-{token}.rows"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _growing(folder / tree_file, source.dimensions, key, on_disk) as tree:
            nearest = _fill(tree, source, probes)
            # one job, for a reproducible file
            tree.build(trees, n_jobs=1)
            search_k, reached = _tune(tree, probes, nearest, trees, recall)
        files.write_bytes(folder / row_file, rows.astype("<i8").tobytes())
        manifest = IndexManifest(
            format=FORMAT, store=source.store, collection=source.collection, space=source.space,
            dimensions=source.dimensions, count=len(rows), last_row=source.last_row,
            last_removal=source.last_removal, trees=trees, search_k=search_k, seed=SEED, recall=reached,
            probes=len(probes), annoy=importlib.metadata.version("annoy"), machine=platform.machine(),
            tree_file=tree_file, tree_sha256=files.sha256(folder / tree_file),
            row_file=row_file, row_sha256=files.sha256(folder / row_file),
        )  # fmt: skip
        files.write_bytes(manifest_path(folder, source.collection), json.dumps(asdict(manifest), indent=1).encode())
    except OSError as error:
        for name in (tree_file, row_file):
            (folder / name).unlink(missing_ok=True)
        raise StoreError(f"{folder}: the index cannot be written: {error}", "free some space on the disk") from error
    sweep(folder, source.collection, keep={tree_file, row_file})
    return manifest


def turned(vectors: FloatArray, cosine: float, random: np.random.Generator) -> FloatArray:
    """Each unit vector rotated in a random direction, to this cosine."""
    if vectors.shape[1] < 2:
        return vectors
    noise = random.standard_normal(vectors.shape, dtype=np.float32)
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    probes = cosine * vectors + math.sqrt(1 - cosine**2) * noise
    return checked(probes / np.linalg.norm(probes, axis=1, keepdims=True))


def _survey(source: IndexSource, random: np.random.Generator) -> tuple[NDArray[np.int64], FloatArray]:
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


def _fill(tree: AnnoyIndex, source: IndexSource, probes: FloatArray) -> NDArray[np.int64]:
    """Add all vectors, and find the positions of the probes' exact nearest neighbors."""
    top = np.full(len(probes), -np.inf, np.float32)
    nearest = np.zeros(len(probes), np.int64)
    position = 0
    for _, vectors in source.pieces():
        similarities = probes @ vectors.T
        columns = similarities.argmax(axis=1)
        values = similarities[np.arange(len(probes)), columns]
        nearest = np.where(values > top, columns + position, nearest)
        top = np.maximum(values, top)
        for vector in vectors:
            tree.add_item(position, vector.tolist())
            position += 1
    return nearest


def _tune(
    tree: AnnoyIndex, probes: FloatArray, nearest: NDArray[np.int64], trees: int, recall: float
) -> tuple[int, float]:
    """The smallest search_k that reaches ``recall``, and its recall. The largest search_k is exact."""
    # the sampling error of recall is about half a percent: aim at half the allowed misses
    allowed = int((1.0 - recall) / 2 * len(probes) + 1e-6)
    search_k, exhaustive = FIRST_SEARCH_K, tree.get_n_items() * trees
    while True:
        last = search_k >= exhaustive
        misses = _misses(tree, probes, nearest, search_k, len(probes) if last else allowed)
        if last or misses <= allowed:
            return search_k, 1.0 - misses / len(probes)
        search_k = min(search_k * 9 // 8, max(exhaustive, FIRST_SEARCH_K))


def _misses(tree: AnnoyIndex, probes: FloatArray, nearest: NDArray[np.int64], search_k: int, enough: int) -> int:
    """Number of probes whose nearest neighbor is not found; counted up to ``enough`` + 1."""
    misses = 0
    for probe, true in zip(probes, nearest.tolist(), strict=True):
        misses += tree.get_nns_by_vector(probe.tolist(), 1, search_k) != [true]
        if misses > enough:
            break
    return misses


@contextmanager
def _growing(path: Path, dimensions: int, key: EncryptionKey | None, on_disk: bool) -> Iterator[AnnoyIndex]:
    """Context with an index to fill; it is complete and synced on disk after the block."""
    from annoy import AnnoyIndex

    tree = AnnoyIndex(dimensions, "angular")
    tree.set_seed(SEED)
    temporary = path.with_name(f".{path.name}")
    try:
        if key is not None:
            with vault_files.memory(path.name) as plain:
                tree.on_disk_build(str(plain))
                yield tree
                vault_files.write(plain, path, key, path.name)
            return
        if on_disk:
            tree.on_disk_build(str(temporary))
        yield tree
        if not on_disk:
            tree.save(str(temporary))
        tree.unload()
        temporary.chmod(0o600)
        files.sync_file(temporary)
        temporary.replace(path)
        files.sync_folder(path.parent)
    finally:
        tree.unload()
        temporary.unlink(missing_ok=True)
