"""Inputs of a benchmark: frames in memory, a collection of random faces, and a description of the machine."""

from __future__ import annotations

import itertools
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.cli.bench.stand import BenchSetup
from edge.core.errors import InputError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.system import hardware as board
from edge.core.types import WHOLE, Frame, Space
from edge.pipeline.loader import LoadedModels
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.sources.factory import open_source

SEED = 7


def film_of(camera: CameraSettings, most: int) -> list[Frame]:
    """The first ``most`` frames of the source, or fewer where it ends. Raises InputError where there are none."""
    source = open_source(camera)
    try:
        found = list(itertools.islice(source.frames(), most))
    finally:
        source.close()
    if not found:
        raise InputError(f"bench: {source.name} gave no frames", "choose another --source")
    return found


def repeated(film: Sequence[Frame], camera: CameraSettings, count: int) -> list[Frame]:
    """``count`` frames: ``film`` repeated with increasing times, with a scene cut at each restart."""
    period, start, wall = 1 / camera.fps, time.monotonic(), time.time()
    return [
        replace(
            film[i % len(film)],
            sequence=i,
            monotonic=start + i * period,
            time=wall + i * period,
            cut=film[i % len(film)].cut or (i > 0 and i % len(film) == 0),
        )
        for i in range(count)
    ]


def held_bytes(stand: BenchSetup) -> int:
    """Size of the frames in memory (bytes), which a daemon does not hold."""
    held = {
        id(picture): picture.data.nbytes for frame in stand.film for picture in (frame.main, frame.small) if picture
    }
    return sum(held.values())


def fill(assembled: LoadedModels, collections: Collections, settings: Settings, faces: int) -> None:
    """Add ``faces`` random unit vectors per collection, so that matching has a realistic cost."""
    random = np.random.default_rng(SEED)
    for name, recognizer in assembled.model_set.recognizers.items():
        space: Space = recognizer.embedder.space
        vectors = random.standard_normal((faces, space.dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        new = [NewFace(vector, f"subject-{i}", f"{i:064x}", WHOLE) for i, vector in enumerate(vectors)]
        collection = collections.get(settings.labels[name].collection)
        for start in range(0, faces, 1000):
            collection.add(new[start : start + 1000], space)


def machine(
    settings: Settings, assembled: LoadedModels, camera: CameraSettings, frames: Sequence[Frame]
) -> dict[str, Any]:
    main, small = frames[0].main, frames[0].small
    return {
        "board": board.model(),
        "python": platform.python_version(),
        "runtime": sorted({r.embedder.space.runtime for r in assembled.model_set.recognizers.values()})
        or [settings.models.runtime],
        "threads": settings.models.threads,
        "models": {name: digest[:12] for name, digest in assembled.models.items()},
        "source": str(camera.source),
        "picture": f"{main.width}x{main.height} {main.layout}",
        "small": f"{small.width}x{small.height} {small.layout}" if small else None,
    }
