"""What the embedding budget saves, and whether it costs a name: beside an embedding of every face in every frame.

Both runs see the same detections, so their tracks are the same ones, and each name can be compared.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any, cast

from edge.cli.bench.cycle import ids
from edge.cli.bench.stand import BenchSetup
from edge.core.resources import DATA
from edge.core.settings.vision import RecognitionSettings
from edge.core.types import Identity, IdentityState
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.pipeline.pipeline import Pipeline
from edge.recognition.enrollment import enroll_images, planned
from edge.recognition.extraction import FaceExtractor

PORTRAITS = DATA / "portraits"
EVERYTHING = {"budget": 10_000, "attempts": 1_000_000, "refresh_seconds": 1e-3}
"""settings by which a face is embedded whenever it is seen"""


def beside_everything(stand: BenchSetup) -> dict[str, Any]:
    """Embeddings, names and how long the first one took: by the budget, and without one."""
    pictures = _enrolled(stand)
    recognition = stand.settings.recognition
    ours, every = _run(stand, recognition), _run(stand, recognition.model_copy(update=EVERYTHING))
    same = sum(ours.final.get(track) == name for track, name in every.final.items())
    return {
        "pictures_enrolled": pictures,
        "faces_seen": ours.faces,
        "budget": ours.told(len(stand.film)),
        "every_face_every_frame": every.told(len(stand.film)),
        "embeddings_saved": round(1 - ours.embeddings / every.embeddings, 3) if every.embeddings else 0.0,
        "tracks_with_the_same_identity": f"{same} of {len(every.final)}",
        "tracks_named_only_without_budget": sorted(every.named.keys() - ours.named.keys()),
    }


@dataclass
class _BudgetRun:
    """What one run came to, by track."""

    faces: int = 0
    embeddings: int = 0
    cpu: float = 0.0
    named: dict[str, float] = field(default_factory=dict)
    """track -> seconds from its first detection to its name"""
    final: dict[str, tuple[IdentityState, str | None]] = field(default_factory=dict)
    """of reported tracks"""

    def told(self, frames: int) -> dict[str, Any]:
        subjects = {name for state, name in self.final.values() if state is IdentityState.KNOWN and name}
        waits = sorted(self.named.values())
        return {
            "embeddings": self.embeddings,
            "cpu_ms_per_frame": round(1e3 * self.cpu / frames, 2),
            "tracks": len(self.final),
            "tracks_named": len(self.named),
            "subjects_named": len(subjects),
            "seconds_to_name_p50": round(median(waits), 2) if waits else None,
            "seconds_to_name_most": round(waits[-1], 2) if waits else None,
        }


def _enrolled(stand: BenchSetup) -> int:
    """Add the plan's people to the collections of the model set; the number of usable pictures."""
    count, model_set = 0, stand.assembled.model_set
    for label, recognizer in model_set.recognizers.items():
        detectors = [cast("Detector", model_set.detectors[name]) for name in stand.camera.detectors]
        able = [detector for detector in detectors if label in detector.labels]
        score = stand.settings.labels[label].score
        finder = FaceExtractor(label, able, cast("Embedder", recognizer.embedder), score, stand.settings.recognition)
        collection = recognizer.search.collection
        plan = planned(stand.plan.people or PORTRAITS, None)
        count += sum(one.face is not None for one in enroll_images(plan, finder, collection))
    return count


def _run(stand: BenchSetup, recognition: RecognitionSettings) -> _BudgetRun:
    settings = stand.settings.model_copy(update={"recognition": recognition})
    camera = stand.camera.model_copy(update={"motion": False})
    recognized = stand.assembled.model_set.recognizers
    pipeline = Pipeline(camera, settings, stand.assembled.model_set, ids())
    run, started = _BudgetRun(), dict[str, float]()
    cpu = time.process_time()
    for frame in stand.film:
        result = pipeline.process(frame)
        run.embeddings += result.stats.embeddings
        for track in result.tracks:
            run.faces += track.seen == frame.monotonic and track.label in recognized
            started.setdefault(track.id, track.started)
        for event in result.events:
            run.final[event.track] = _name(event.identity)
            if event.identity.state is IdentityState.KNOWN:
                run.named.setdefault(event.track, frame.monotonic - started[event.track])
        stand.progress(0)
    run.cpu = time.process_time() - cpu
    for event in pipeline.finish():
        run.final[event.track] = _name(event.identity)
    return run


def _name(identity: Identity) -> tuple[IdentityState, str | None]:
    return identity.state, identity.subject
