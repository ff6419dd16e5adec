"""Visits of the synthetic scene: who, when and where, as a function of seed and time."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

PERIOD = 5.0
"""seconds between the starts of two visits: shorter than a visit, so that visits overlap"""
LENGTH = 7.0
"""seconds of a visit, walking in and out included"""
_WALK = 1.6
"""seconds from the edge of the picture to where a visitor stays"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One appearance of a subject."""

    portrait: int
    """index into the portraits"""
    subject: str
    start: float
    """seconds of the scene"""
    end: float
    side: int
    """-1 comes from and leaves to the left, 1 to the right"""
    stays_at: float
    """fraction of the width"""
    size: float
    """height of the face, fraction of the frame's height, at its smallest"""
    phase: float


@dataclass(frozen=True, slots=True)
class PortraitPose:
    """Where a visitor's face is at a moment, fractions of the frame."""

    x: float
    y: float
    size: float
    """height of the face"""
    tilt: float
    """degrees"""
    speed: float
    """fractions of the width a second, to the right"""


def plan(subjects: Sequence[str], visits: int, seed: int, sizes: tuple[float, float]) -> list[Visit]:
    """Visits in the order of their start, the portraits in turn; faces as tall as ``sizes`` allows."""
    chance = random.Random(seed)  # noqa: S311
    return [
        Visit(
            portrait=number % len(subjects),
            subject=subjects[number % len(subjects)],
            start=1.0 + PERIOD * number,
            end=1.0 + PERIOD * number + LENGTH,
            side=-1 if number % 2 == 0 else 1,
            stays_at=chance.uniform(0.24, 0.38) if number % 2 == 0 else chance.uniform(0.62, 0.76),
            size=chance.uniform(*sizes),
            phase=chance.uniform(0, math.tau),
        )
        for number in range(visits)
    ]


def pose(visit: Visit, now: float) -> PortraitPose | None:
    """Where the visitor is; None before and after the visit."""
    if not visit.start <= now < visit.end:
        return None
    x = _across(visit, now)
    step = 0.05
    walked = _progress(visit, now)
    bob = 0.008 * abs(math.sin(math.tau * 1.1 * now + visit.phase)) * (1 - walked)
    nearer = 1 + 0.25 * math.sin(math.pi * (now - visit.start) / (visit.end - visit.start))
    return PortraitPose(
        x=x,
        y=0.40 - bob + 0.012 * math.sin(0.9 * now + visit.phase),
        size=visit.size * nearer,
        tilt=4.0 * math.sin(0.7 * now + visit.phase),
        speed=(_across(visit, now + step) - x) / step,
    )


def _across(visit: Visit, now: float) -> float:
    """The face's x: outside the picture when a visit starts and ends, swaying where the visitor stays."""
    outside = 0.5 + visit.side * 0.75
    sway = 0.012 * math.sin(1.7 * now + visit.phase)
    walked = _progress(visit, now)
    return outside + (visit.stays_at + sway - outside) * walked


def _progress(visit: Visit, now: float) -> float:
    """0 outside .. 1 where the visitor stays, eased."""
    share = min(1.0, (now - visit.start) / _WALK, (visit.end - now) / _WALK)
    share = max(0.0, share)
    return share * share * (3 - 2 * share)
