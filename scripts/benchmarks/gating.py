"""What looking only where something moves saves, and what it misses, beside a look at every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.cli.bench.cpu import Threads
from edge.cli.bench.cycle import ids
from edge.cli.bench.stand import BenchSetup
from edge.core.types import Box, Frame
from edge.pipeline.pipeline import Pipeline

SAME = 0.3
"""intersection over union from which two boxes of one frame are of one thing"""
HELD = 0.5
"""share of a track's frames in which it must be followed to count as found"""


def beside_every_frame(stand: BenchSetup) -> dict[str, Any]:
    """Looks, and of the tracks of a run that looks at every frame, those that were followed and how late."""
    frames = stand.film
    gated, every = _run(stand, motion=True), _run(stand, motion=False)
    held = {track: [_followed(gated, at, one) for at, one in places.items()] for track, places in every.places.items()}
    found = {track for track, times in held.items() if sum(times) >= HELD * len(times)}
    begun = [_delay(every.places[track], held[track], frames) for track in found]
    moments = [one for times in held.values() for one in times]
    return {
        "frames": len(frames),
        "looks": gated.looks,
        "cpu_ms_per_frame": round(1e3 * gated.cpu / len(frames), 2),
        "cpu_ms_per_frame_without": round(1e3 * every.cpu / len(frames), 2),
        "tracks_found": f"{len(found)} of {len(every.places)}",
        "track_moments_followed": f"{sum(moments)} of {len(moments)}",
        "longest_delay_seconds": round(max(begun, default=0.0), 2),
    }


@dataclass
class _GatingRun:
    """Where the reported tracks were."""

    looks: int = 0
    cpu: float = 0.0
    places: dict[str, dict[int, tuple[str, Box]]] = field(default_factory=dict)
    """track -> index of the frame -> label and box; of confirmed tracks, from their beginning"""
    there: list[list[tuple[str, Box]]] = field(default_factory=list)
    """label and box of all that was followed, frame by frame"""


def _run(stand: BenchSetup, motion: bool) -> _GatingRun:
    camera = stand.camera.model_copy(update={"motion": motion})
    pipeline, run = Pipeline(camera, stand.settings, stand.assembled.model_set, ids()), _GatingRun()
    seen: dict[str, dict[int, tuple[str, Box]]] = {}
    threads = Threads()
    for at, frame in enumerate(stand.film):
        cpu = threads.seconds()
        result = pipeline.process(frame)
        run.cpu += threads.seconds() - cpu
        run.looks += result.stats.looked
        run.there.append([(track.label, track.box) for track in result.tracks])
        for track in result.tracks:
            if track.seen == frame.monotonic:
                seen.setdefault(track.id, {})[at] = track.label, track.box
            if track.confirmed:
                run.places[track.id] = seen.get(track.id, {})
        stand.progress(0)
    return run


def _followed(run: _GatingRun, at: int, one: tuple[str, Box]) -> bool:
    label, box = one
    return any(label == other and box.iou(place) >= SAME for other, place in run.there[at])


def _delay(places: dict[int, tuple[str, Box]], held: Sequence[bool], frames: Sequence[Frame]) -> float:
    """Seconds from a track's first moment to the first in which it was followed."""
    moments = list(places)
    return frames[moments[held.index(True)]].monotonic - frames[moments[0]].monotonic
