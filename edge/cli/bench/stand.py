"""Plan and setup of a benchmark."""

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
    """What to measure besides the pipeline cycle, which is always measured."""

    frames: int = 200
    """frames of the source to process"""
    live_seconds: float = 5.0
    """duration of the live phase (s); 0: none"""
    faces: int = 1000
    """random faces in the collection"""
    threads: tuple[int, ...] = ()
    """repeat the cycle with each of these numbers of interpreter threads"""
    start: bool = False
    """also measure the start-up by component"""


@dataclass(frozen=True)
class BenchSetup:
    """Shared inputs of all measurements."""

    plan: Plan
    settings: Settings
    state: Path
    """state folder in which models are searched"""
    folder: Path
    """temporary folder for all other files"""
    camera: CameraSettings
    """first camera of the settings, not limited to real time"""
    collections: Collections
    assembled: LoadedModels
    film: Sequence[Frame]
    """distinct frames of the source, with their times"""
    frames: Sequence[Frame]
    """frames to process: ``film`` repeated to the length of the plan and the warm-up"""
    outbox: Outbox
    progress: Progress
