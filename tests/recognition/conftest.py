"""Seeded vectors, and collections to put them in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Space
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

D = 32
Vectors = NDArray[np.float32]


@pytest.fixture
def space() -> Space:
    return Space("5a" * 32, "litert", 1, D)


@pytest.fixture
def unit() -> Callable[..., Vectors]:
    """unit(n, seed=0, dimensions=D): n random unit vectors."""

    def make(count: int, seed: int = 0, dimensions: int = D) -> Vectors:
        vectors = np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    return make


@pytest.fixture
def faces() -> Callable[..., list[NewFace]]:
    """faces(vectors, subject=None, start=0): a picture each; subjects are ``s<number>`` where none is given."""

    def make(vectors: Sequence[Vectors] | Vectors, subject: str | None = None, start: int = 0) -> list[NewFace]:
        return [
            NewFace(
                vector=np.asarray(vector),
                subject=subject or f"s{number}",
                image_sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                box=Box(0.1, 0.2, 0.3, 0.4),
                confidence=0.9,
                quality=0.8,
            )
            for number, vector in enumerate(vectors, start)
        ]

    return make


@pytest.fixture
def collections(tmp_path: Path) -> Iterator[Collections]:
    with Collections(tmp_path / "own", CollectionSettings()) as opened:
        yield opened


@pytest.fixture
def staff(collections: Collections) -> Collection:
    return collections.create("staff")
