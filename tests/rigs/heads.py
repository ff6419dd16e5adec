"""Versions of custom labels made of nothing, to be found, shipped and told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.labels.evaluation import evaluate
from edge.labels.examples import Annotation, Example
from edge.labels.head import Head
from edge.labels.store import Labels
from edge.labels.version import Made, Version


def a_head(labels: Sequence[str] = ("cat", "dog"), dimensions: int = 4) -> Head:
    """Each label is one direction."""
    weights = 9 * np.eye(len(labels), dimensions, dtype=np.float32)
    return Head(tuple(labels), weights, np.zeros(len(labels), np.float32), np.full(len(labels), 0.5, np.float32), True)


def a_version(
    state: Path,
    name: str = "helmets",
    labels: Sequence[str] = ("cat", "dog"),
    base: str = "base",
    space: str = "ab/litert/p1/4",
    detectors: tuple[str, ...] = (),
    dimensions: int = 4,
) -> Version:
    """The next version of ``name``, in use."""
    head = a_head(labels, dimensions)
    truth = np.eye(len(labels), dtype=bool)
    result = evaluate(head.labels, head.thresholds, truth.astype(np.float32), truth)
    example = Example(Path("a.jpg"), (Annotation(labels[0]),))
    made = Made(head, result, base, space, detectors, [example], [example], ("truck",) if detectors else ())
    store = Labels(state)
    version = store.save(name, made)
    store.use(version)
    return store.version(name)
