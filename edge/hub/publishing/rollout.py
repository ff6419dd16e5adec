"""Rollout of a release in steps, and when it stops. Pure functions of what devices report.

The steps grow (5 %, 50 %, 100 %), each after enough of the chosen devices have committed the release; too large a
share of failures stops it, and everybody is told to run what they had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge.core.errors import InputError
from edge.releases.manifest import Deployment, bucket

FAILED, DONE = ("failed", "rolled_back"), ("committed",)


@dataclass(frozen=True, slots=True)
class Word:
    """What a device said last (``up/reported``)."""

    release: str
    phase: str
    desired: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """When a rollout grows and when it stops."""

    steps: tuple[float, ...] = (5.0, 50.0, 100.0)
    """percent"""
    success: float = 0.9
    """share of the chosen devices that must have committed before the next step"""
    failures: float = 0.1
    """share of the devices that tried it and failed that stops it"""


@dataclass(frozen=True, slots=True)
class RolloutVerdict:
    """What to do now, and the counts that say so."""

    action: Literal["wait", "grow", "stop", "done"]
    chosen: int
    committed: int
    failed: int
    reasons: tuple[str, ...] = ()
    """of failures, each once"""


def start(
    group: str, release: str, base: str, devices: Sequence[str], percent: float, canaries: Sequence[str] = ()
) -> Deployment:
    """The first step: at least one device of those that are known. Raises InputError where nobody would be chosen."""
    deployment = Deployment(group, 1, release, base, percent, tuple(canaries))
    if percent >= 100 or any(deployment.wanted(device) == release for device in devices):
        return deployment
    if not devices and not canaries:
        raise InputError(
            f"no device of {group!r} is known, so {percent:g} % may be nobody",
            "name one with --canary, or start with --percent 100",
            code="canary",
        )
    first = min(devices, key=lambda device: bucket(release, device), default="")
    return replace(deployment, canaries=(*canaries, first)) if first else deployment


def judge(deployment: Deployment, words: Mapping[str, Word], policy: RolloutPolicy) -> RolloutVerdict:
    """How the present step does, from what the devices of the group said last."""
    chosen = [d for d in words if d not in deployment.pins and deployment.wanted(d) == deployment.release]
    committed = [d for d in chosen if words[d].release == deployment.release and words[d].phase in ("idle", *DONE)]
    failed = [d for d in chosen if words[d].phase in FAILED and words[d].desired == deployment.release]
    reasons = tuple(dict.fromkeys(words[d].error for d in failed))
    counts = (len(chosen), len(committed), len(failed), reasons)
    tried = len(committed) + len(failed)
    if failed and len(failed) / tried > policy.failures:
        return RolloutVerdict("stop", *counts)
    if not chosen or len(committed) < policy.success * len(chosen):
        return RolloutVerdict("wait", *counts)
    return RolloutVerdict("done" if deployment.percent >= 100 else "grow", *counts)


def grown(deployment: Deployment, policy: RolloutPolicy) -> Deployment:
    """The next step."""
    return replace(deployment, percent=next((s for s in sorted(policy.steps) if s > deployment.percent), 100.0))


def stopped(deployment: Deployment) -> Deployment:
    """Nobody takes it any more; whoever has it goes back to the base, where there is one."""
    if deployment.base:
        return replace(deployment, release=deployment.base, percent=100.0, canaries=())
    return replace(deployment, hold=True)
