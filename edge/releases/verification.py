"""Verification of a release in a child process before it is used: ``python -m edge.releases.verification``.

Every model is loaded and run, every segment is read, and the golden probes in the release must give the boxes and
embeddings that its publisher recorded.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.core.errors import EdgeError, ModelError, ReleaseError
from edge.core.storage import keys as vault_keys
from edge.releases import label_verification as labels_trial

if TYPE_CHECKING:
    from edge.core.settings.vision import ModelSettings
    from edge.core.types import Detection, Picture
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.releases.manifest import Probe, ShippedCollection

SECONDS = 60
"""CPU seconds of a verification"""
PATIENCE = 300
"""wall clock seconds; generous, as a failure on a busy board would mark the release as bad"""
OVERLAP = 0.5
"""minimum IoU of a probe's box and the detected one"""
LIKENESS = 0.9
"""minimum cosine of a probe's embedding and the expected one; runtimes differ by .02 at most"""

Read = Callable[[str], bytes]
"""sha256 -> content of a file of the release"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Location of the release to verify."""

    folder: Path
    """folder with its manifest and ``models/``"""
    blobs: Path
    state: Path


def attempt(
    place: Place, models: ModelSettings, embedders: Mapping[str, str], seconds: int = PATIENCE
) -> dict[str, float]:
    """Verify a release; milliseconds per model. ``embedders``: label -> configured embedder.

    Raises ReleaseError with the reason: a crash, a timeout, or a model that does not match the release.
    """
    from edge.core.storage.layout import MANIFEST
    from edge.inference import model
    from edge.inference import validation as check
    from edge.releases.activation import models_of
    from edge.releases.manifest import Release, parse

    release = parse(Release, (place.folder / MANIFEST).read_bytes())
    chosen = models_of(models, place.folder)
    for shipped in release.models:
        try:
            check.ensure(model.find(shipped.name, model.folders(chosen, place.state)), chosen, place.state)
        except EdgeError as error:
            raise ReleaseError(f"release {release.id}: {error.message}", error.hint) from error
    task = {
        "place": {name: str(getattr(place, name)) for name in Place.__slots__},
        "models": chosen.model_dump(mode="json"),
        "embedders": dict(embedders),
    }
    command = [sys.executable, "-m", "edge.releases.verification", json.dumps(task)]
    try:
        child = subprocess.run(
            command, input=vault_keys.given().encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"release {release.id}: its verification did not end within {seconds} s", _HINT) from error
    return _verdict(release.id, child)


_HINT = "publish a release whose models run here; this one is not tried again"


def _verdict(release: str, child: subprocess.CompletedProcess[bytes]) -> dict[str, float]:
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise ReleaseError(f"release {release}: killed its verification process ({name})", _HINT)
    result: Any = None
    for line in child.stdout.splitlines():
        if line.startswith(b"{"):
            result = json.loads(line)
    if not isinstance(result, dict) or child.returncode:
        tail = child.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        raise ReleaseError(f"release {release}: its verification failed: {tail[0][:300]}", _HINT)
    if "error" in result:
        raise ReleaseError(f"release {release}: {result['error']}", result["hint"] or _HINT)
    return dict(result["milliseconds"])


def main() -> None:
    """Main function of the child process."""
    import resource

    from edge.core.settings.vision import ModelSettings

    task = json.loads(sys.argv[1])
    vault_keys.use(sys.stdin.read())
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_CPU, SECONDS)):
        resource.setrlimit(what, (most, resource.getrlimit(what)[1]))
    place = Place(**{name: Path(path) for name, path in task["place"].items()})
    try:
        answer: dict[str, Any] = {"milliseconds": _tried(place, ModelSettings(**task["models"]), task["embedders"])}
    except EdgeError as error:
        answer = {"error": error.message, "hint": error.hint}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _tried(place: Place, models: ModelSettings, embedders: Mapping[str, str]) -> dict[str, float]:
    from edge.core.storage.layout import MANIFEST
    from edge.releases.manifest import Release, parse
    from edge.releases.release_store import read as read_blob

    def read(sha256: str) -> bytes:
        return read_blob(place.blobs, place.state, sha256)

    release = parse(Release, (place.folder / MANIFEST).read_bytes())
    tools = ModelTools(place, models)
    for shipped in release.models:
        tools.load(shipped.name, shipped.kind)
    for collection in release.collections:
        _read(collection, read)
        for label, name in release.labels.items():
            if name == collection.name and label in embedders:
                _fits(collection, label, tools.embedder(release.replaces.get(embedders[label], embedders[label])))
    for probe in release.probes:
        _probe(probe, read, tools)
    for labels in release.custom_labels:
        labels_trial.attempt(labels, place.folder, tools, read)
    return tools.milliseconds


class ModelTools:
    """Models by name, loaded once."""

    def __init__(self, place: Place, models: ModelSettings) -> None:
        self.milliseconds: dict[str, float] = {}
        self._place, self._models = place, models
        self._detectors: dict[str, Detector] = {}
        self._embedders: dict[str, Embedder] = {}

    def load(self, name: str, kind: str) -> None:
        if kind == "detector":
            self.detector(name)
        elif kind == "embedder":
            self.embedder(name)

    def detector(self, name: str) -> Detector:
        from edge.inference.load import load_detector

        if name not in self._detectors:
            self._detectors[name] = load_detector(name, self._models, self._place.state)
        return self._detectors[name]

    def embedder(self, name: str) -> Embedder:
        from edge.inference.load import load_embedder

        if name not in self._embedders:
            self._embedders[name] = load_embedder(name, self._models, self._place.state)
        return self._embedders[name]

    def detect(self, name: str, picture: Picture) -> list[Detection]:
        """Detections; records the time of the second inference."""
        import time

        detector = self.detector(name)
        detector.detect(picture)
        began = time.perf_counter()
        found = detector.detect(picture)
        self.milliseconds[name] = round(1e3 * (time.perf_counter() - began), 2)
        return found


def _read(collection: ShippedCollection, read: Read) -> None:
    from edge.recognition.store import segments

    for one in collection.segments:
        data = read(one.sha256)
        segments.unpack(data, collection.name, collection.space, collection.dimensions, one.count)


def _fits(collection: ShippedCollection, label: str, embedder: Embedder) -> None:
    if embedder.space.fingerprint != collection.space:
        raise ModelError(
            f"collection {collection.name!r} was made in {collection.space}, and {label} is embedded here in "
            f"{embedder.space.fingerprint}",
            "publish it with its embedder, for the runtime that these devices have",
        )


def _probe(probe: Probe, read: Read, tools: ModelTools) -> None:
    from edge.core.imaging import image as pictures

    picture = pictures.decode(read(probe.picture.sha256), f"probe {probe.picture.sha256[:12]}")
    found = tools.detect(probe.detector, picture)
    first: Detection | None = None
    for wanted in probe.boxes:
        hit = _nearest(wanted.label, wanted.box, found)
        if hit is None:
            raise ModelError(
                f"detector {probe.detector!r} does not find the {wanted.label} of probe {probe.picture.sha256[:12]}",
                "the model has lost quality, or was converted wrongly",
            )
        first = first or hit
    for name, expected in probe.embeddings.items():
        if first is not None:
            _alike(name, tools.embedder(name), picture, first, expected)


def _nearest(label: str, box: Sequence[float], found: Sequence[Detection]) -> Detection | None:
    from edge.core.types import Box

    wanted = Box(*box)
    near = [one for one in found if one.label == label and one.box.iou(wanted) >= OVERLAP]
    return max(near, key=lambda one: one.box.iou(wanted), default=None)


def _alike(name: str, embedder: Embedder, picture: Picture, detection: Detection, expected: Sequence[float]) -> None:
    import numpy as np

    vector = embedder.embed(picture, [detection])[0].vector
    if len(vector) != len(expected):
        raise ModelError(f"embedder {name!r}: expected {len(expected)} numbers, got {len(vector)}", _HINT)
    cosine = float(np.dot(vector, np.asarray(expected, np.float32)))
    if not cosine >= LIKENESS:
        raise ModelError(
            f"embedder {name!r} gives another embedding than at its publisher (cosine {cosine:.3f}, "
            f"expected {LIKENESS} or more)",
            "the model has lost quality, or was converted wrongly",
        )


if __name__ == "__main__":
    main()
