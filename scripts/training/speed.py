"""How long invokes take, models in turns so that a busy machine slows them all alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edge.core.settings.vision import ModelSettings
from edge.inference.interpreter import Interpreter
from edge.inference.model import find, folders

ROUNDS = 150


def invokes(names: Sequence[str], settings: ModelSettings, state: Path) -> Iterator[tuple[str, float, str]]:
    """Name, median CPU seconds of an invoke in one thread, and how that compares to the others."""
    places = folders(settings, state)
    runners = [Interpreter(find(name, places).path, settings.runtime, 1) for name in names]
    rng = np.random.default_rng(1)
    inputs = [rng.integers(0, 100, r.input.shape).astype(r.input.dtype) for r in runners]
    taken = np.zeros((ROUNDS, len(names)))
    for row in range(ROUNDS):
        for column, (runner, value) in enumerate(zip(runners, inputs, strict=True)):
            start = time.thread_time()
            runner.invoke(value)
            taken[row, column] = time.thread_time() - start
    medians = np.median(taken, axis=0)
    for name, median in zip(names, medians, strict=True):
        others = [(which, other) for which, other in zip(names, medians, strict=True) if which != name]
        shares = ", ".join(f"{median / other:.2f} x {which}" for which, other in others)
        yield name, float(median), f" ({shares})"
