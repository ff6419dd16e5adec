"""What one frame costs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class FrameStats:
    """What one frame took, seconds by stage, and how much was done."""

    stages: dict[str, float] = field(default_factory=dict)
    moving: bool = True
    """whether something moved in it, as far as that was looked at"""
    looked: bool = False
    """whether a detector looked at it"""
    detections: int = 0
    embeddings: int = 0
    declined: dict[str, int] = field(default_factory=dict)
    """crops not worth embedding, by reason code"""
    problems: dict[str, str] = field(default_factory=dict)
    """what could not be recognized, by part, and why"""


class StageTimer:
    """Adds the seconds inside the block to a stage of a frame's cost."""

    __slots__ = ("_began", "_cost", "_name")

    def __init__(self, cost: FrameStats, name: str) -> None:
        self._cost, self._name = cost, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._began
        self._cost.stages[self._name] = self._cost.stages.get(self._name, 0.0) + spent
