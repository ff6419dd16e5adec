"""One interpreter of each model for what runs on one thread."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.errors import NotFoundError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import ModelSettings
from edge.inference.pool import ModelPool
from edge.recognition import extraction


def test_a_model_is_loaded_once_and_shared(tmp_path: Path) -> None:
    settings = Settings()
    pool = ModelPool(settings.models, tmp_path)
    assert len(pool) == 0
    first, second = (extraction.load(settings, tmp_path, "face", models=pool) for _ in range(2))
    assert first.embedder is second.embedder is pool.embedder("edge-face-embedder-1")
    assert first.detectors[0] is pool.detector("edge-face-detector-2")
    assert len(pool) == 2


def test_a_cleared_pool_loads_anew_with_the_threads_it_was_given(tmp_path: Path) -> None:
    pool = ModelPool(ModelSettings(threads=4), tmp_path, threads=1)
    first = pool.detector("edge-face-detector-2")

    pool.clear()

    assert len(pool) == 0
    assert pool.detector("edge-face-detector-2") is not first
    assert pool._settings.threads == 1


def test_a_model_that_is_not_there_is_told_each_time(tmp_path: Path) -> None:
    pool = ModelPool(ModelSettings(), tmp_path)
    for _ in range(2):
        with pytest.raises(NotFoundError):
            pool.detector("no-such-model")
    assert len(pool) == 0
