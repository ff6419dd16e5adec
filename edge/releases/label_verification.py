"""Verification of a custom labels version at the publisher and on each device: backbone, head and results.

Every version is run on a generated picture, identical on all devices; a picture of the publisher may be included, in
which its labels must be detected again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.core.errors import ModelError
from edge.core.imaging import image as pictures
from edge.core.types import WHOLE, Detection, Picture
from edge.labels.classifier import check_space, predict
from edge.labels.store import Labels
from edge.labels.version import Version
from edge.releases.manifest import Blob, LabelsProbe, ShippedLabels

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.inference.embedder import Embedder
    from edge.releases.verification import ModelTools

LIKENESS = 0.95
"""minimum cosine between the probe's embedding and the expected one; cosines of a backbone are all high"""
SEED, CELLS, SIDE = 7, 9, 224
MOST_ANSWERS = 32


def pattern() -> Picture:
    """A generated picture of soft colors, identical on every device."""
    cells = np.random.default_rng(SEED).integers(0, 256, (CELLS, CELLS, 3), np.uint8)
    soft = cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return Picture(soft, "rgb", SIDE, SIDE)


def golden(
    version: Version, store: Labels, tools: ModelTools, picture: Picture | None, blob: Blob | None
) -> LabelsProbe:
    """The golden results of a version, as computed here. Raises SpaceError, ModelError, StoreError."""
    embedder = tools.embedder(version.base)
    check_space(version, embedder.space.fingerprint)
    seen = picture or pattern()
    embedding = tuple(round(float(x), 5) for x in _embedded(embedder, seen))
    return LabelsProbe(embedding, blob, _said(version, store, tools, seen) if picture else ())


def attempt(shipped: ShippedLabels, release: Path, tools: ModelTools, read: Callable[[str], bytes]) -> None:
    """Verify a version in the folder of a release. ``read``: sha256 -> bytes of a file of the release.

    Raises SpaceError for another backbone, ModelError for other answers, StoreError for a damaged head.
    """
    store = Labels(release)
    version = store.version(shipped.name, shipped.number)
    embedder = tools.embedder(version.base)
    check_space(version, embedder.space.fingerprint)
    store.head(version)
    probe = shipped.probe
    picture = pictures.decode(read(probe.picture.sha256), "probe") if probe.picture else pattern()
    vector, expected = _embedded(embedder, picture), np.asarray(probe.embedding, np.float32)
    if vector.shape != expected.shape or not float(np.dot(vector, expected)) >= LIKENESS:
        raise ModelError(
            f"backbone {version.base!r} of labels {version.name!r} gives another embedding than at its publisher",
            "the model has lost quality, or was converted wrongly",
        )
    missing = [label for label in probe.answers if label not in _said(version, store, tools, picture)]
    if missing:
        raise ModelError(
            f"labels {version.name!r} version {version.number} do not find {missing[0]!r} in their probe",
            "publish them again with a picture that shows it clearly",
        )


def _embedded(embedder: Embedder, picture: Picture) -> FloatArray:
    """The embedding of a whole picture."""
    return embedder.embed(picture, [Detection("picture", 1.0, WHOLE)])[0].vector


def _said(version: Version, store: Labels, tools: ModelTools, picture: Picture) -> tuple[str, ...]:
    detectors = [tools.detector(name) for name in version.detectors]
    found = predict(version, store.head(version), tools.embedder(version.base), detectors, picture)
    return tuple(dict.fromkeys(one.label for one in found))[:MOST_ANSWERS]
