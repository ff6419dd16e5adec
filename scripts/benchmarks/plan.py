"""What ``scripts/bench`` is asked to measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.cli.bench.stand import Plan


@dataclass(frozen=True)
class FullPlan(Plan):
    """``edge bench`` and what goes beyond it."""

    sizes: tuple[int, ...] = ()
    """match in, and enroll into, collections of these numbers of faces"""
    cameras: tuple[int, ...] = ()
    """watch with each of these numbers of cameras, for ``live_seconds`` per load"""
    in_view: tuple[int, ...] = ()
    """run the cycle on this many people who stand in view"""
    detectors: tuple[str, ...] = ()
    """run the cycle with each of these detectors"""
    rival: bool = False
    """also run a plain script on the same frames"""
    motion: bool = False
    """also compare with detection in every frame"""
    budget: bool = False
    """also compare with an embedding of every face in every frame"""
    people: Path | None = None
    """pictures of the people to name then, by subject; None: the sample portraits"""
    profile: bool = False
    """also tell where a frame's own CPU goes, stage by stage"""
