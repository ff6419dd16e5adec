"""What a bench is asked to measure, and what it measures on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame
from edge.mqtt.outbox.outbox import Outbox
from edge.pipeline.loader import LoadedModels
from edge.recognition.store.collections import Collections

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Plan:
    """What to measure. The cycle always is; the rest where it is asked for."""

    frames: int = 200
    """frames of the source to process"""
    live_seconds: float = 5.0
    """of the live phase; 0: without"""
    faces: int = 1000
    """faces in the collection, random ones"""
    threads: tuple[int, ...] = ()
    """run the cycle again with each of these numbers of interpreter threads"""
    start: bool = False
    """also measure the start-up, part by part"""


@dataclass(frozen=True)
class BenchSetup:
    """What every part of a bench measures on."""

    plan: Plan
    settings: Settings
    state: Path
    """where models are looked for"""
    folder: Path
    """a temporary one, for everything else"""
    camera: CameraSettings
    """the first one of the settings, as fast as possible"""
    collections: Collections
    assembled: LoadedModels
    film: Sequence[Frame]
    """the source's own frames and times, each once"""
    frames: Sequence[Frame]
    """of it, as many as the plan wants, and those to warm up with"""
    outbox: Outbox
    progress: Progress
