"""Collections as they grow: to match a face, whether the right one is found, to enroll one more."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.cli.bench.setup import SEED
from edge.cli.bench.stand import BenchSetup
from edge.core.settings.schema import Settings
from edge.core.types import WHOLE, Space
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

if TYPE_CHECKING:
    from edge.core.types import FloatArray

QUERIES = 200
COSINE = 0.7
"""between a query and the face that it was made of, as between two good pictures of one person"""
SAMPLES = 5
"""faces a subject"""
ENROLMENTS = 200
BYTES = 24 << 10
"""about what a face that is added alone makes the log grow by"""
STEP = 5_000
"""faces added at a time"""


def by_size(stand: BenchSetup) -> dict[str, Any]:
    """By number of faces, for the first recognizer's space. Empty where nothing is recognized."""
    for recognizer in stand.assembled.model_set.recognizers.values():
        space = recognizer.embedder.space
        return {
            str(size): _measured(size, space, stand.settings, stand.folder / f"of-{size}") for size in stand.plan.sizes
        }
    return {}


def _measured(size: int, space: Space, settings: Settings, folder: Path) -> dict[str, Any]:
    random = np.random.default_rng(SEED)
    vectors = _people(size, space.dimensions, random)
    folder.mkdir()
    with Collections(folder, settings.collection) as collections:
        collection = collections.create("bench")
        for start in range(0, size, STEP):
            collection.add(_faces(vectors[start : start + STEP], start), space)
        began = time.perf_counter()
        collection.rebuild()
        rebuild = time.perf_counter() - began
        figures = _matched(collection, vectors, random)
        figures |= _enrolled(collection, _people(ENROLMENTS, space.dimensions, random), space, size, folder)
    began = time.perf_counter()
    with Collections(folder, settings.collection) as collections:
        collections.get("bench").search(vectors[:1], 1)
        figures["open_ms"] = round(1e3 * (time.perf_counter() - began), 1)
    return figures | {"rebuild_seconds": round(rebuild, 2)}


def _matched(collection: Collection, vectors: FloatArray, random: np.random.Generator) -> dict[str, Any]:
    """One query at a time, as most frames have it; the right answer is that of exact search."""
    chosen = random.integers(0, len(vectors), QUERIES)
    noise = _unit(random.standard_normal((QUERIES, vectors.shape[1])).astype(np.float32))
    queries = _unit(np.float32(COSINE) * vectors[chosen] + np.float32((1 - COSINE**2) ** 0.5) * noise)
    exact = np.concatenate([(part @ vectors.T).argmax(axis=1) for part in np.array_split(queries, 20)])
    cpu, right, walls = time.process_time(), 0, []
    for query, best in zip(queries, exact.tolist(), strict=True):
        began = time.perf_counter()
        (found,) = collection.search(query[np.newaxis], 5)
        walls.append(time.perf_counter() - began)
        right += found[0].subject == _subject(best) and abs(found[0].similarity - query @ vectors[best]) < 1e-3
    cpu = time.process_time() - cpu
    return {
        "match_cpu_us": round(1e6 * cpu / QUERIES),
        **_spread("match_ms", walls),
        "recall_at_1": right / QUERIES,
    }


def _enrolled(collection: Collection, vectors: FloatArray, space: Space, size: int, folder: Path) -> dict[str, Any]:
    """From an embedding to its face's being stored and searchable, and to its being found, one at a time.

    Beside each what the disk takes for as many bytes alone: no promise to survive a power cut is cheaper.
    """
    searchable, known, synced, found = [], [], [], 0
    with (folder / "fsync").open("wb", buffering=0) as plain:
        for i, vector in enumerate(vectors):
            (new,) = _faces(vector[np.newaxis], size + i)
            began = time.perf_counter()
            (face,) = collection.add([new], space)
            searchable.append(time.perf_counter() - began)
            ((best, *_),) = collection.search(vector[np.newaxis], 1)
            known.append(time.perf_counter() - began)
            found += best.face_id == face.face_id
            plain.write(bytes(BYTES))
            began = time.perf_counter()
            os.fdatasync(plain.fileno())
            synced.append(time.perf_counter() - began)
    return {
        **_spread("enrolled_to_searchable_ms", searchable),
        **_spread("enrolled_to_found_ms", known),
        **_spread("fsync_alone_ms", synced),
        "enrolled_found": f"{found} of {len(vectors)}",
    }


def _spread(name: str, seconds: list[float]) -> dict[str, float]:
    return {f"{name}_p{share}": round(1e3 * float(np.percentile(seconds, share)), 2) for share in (50, 99)}


def _people(count: int, dimensions: int, random: np.random.Generator) -> FloatArray:
    """(count, D) unit vectors, ``SAMPLES`` around each subject."""
    middles = random.standard_normal((-(-count // SAMPLES), dimensions)).astype(np.float32)
    spread = random.standard_normal((count, dimensions)).astype(np.float32)
    near = np.float32(COSINE**0.5) * _unit(np.repeat(middles, SAMPLES, axis=0)[:count])
    return _unit(near + np.float32((1 - COSINE) ** 0.5) * _unit(spread))


def _unit(vectors: FloatArray) -> FloatArray:
    scaled: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def _faces(vectors: FloatArray, first: int) -> list[NewFace]:
    return [NewFace(vector, _subject(i), f"{i:064x}", WHOLE) for i, vector in enumerate(vectors, first)]


def _subject(number: int) -> str:
    return f"subject-{number // SAMPLES}"
