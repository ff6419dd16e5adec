"""Staged rollout of a release: pure functions of the states that devices report.

The share of devices grows in steps (5 %, 50 %, 100 %), each after enough of the selected devices have committed the
release. Too many failures stop the rollout, and all devices return to the base release.
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
    """Last reported update state of a device (``up/reported``)."""

    release: str
    phase: str
    desired: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """Criteria for the next step and for stopping a rollout."""

    steps: tuple[float, ...] = (5.0, 50.0, 100.0)
    """percent"""
    success: float = 0.9
    """share (0..1) of the selected devices that must have committed before the next step"""
    failures: float = 0.1
    """share (0..1) of failures among the devices that finished the update, above which the rollout stops"""


@dataclass(frozen=True, slots=True)
class RolloutVerdict:
    """Next action of a rollout, and the counts of devices behind it."""

    action: Literal["wait", "grow", "stop", "done"]
    chosen: int
    committed: int
    failed: int
    reasons: tuple[str, ...] = ()
    """distinct errors of the failures"""


def start(
    group: str, release: str, base: str, devices: Sequence[str], percent: float, canaries: Sequence[str] = ()
) -> Deployment:
    """The first step, with at least one known device. ``percent``: 0..100.

    Raises InputError (code ``canary``) where no device would be selected.
    """
    deployment = Deployment(group, 1, release, base, percent, tuple(canaries))
    if percent >= 100 or any(deployment.wanted(device) == release for device in devices):
        return deployment
    if not devices and not canaries:
        raise InputError(
            f"no device of {group!r} is known, so {percent:g} % may select none",
            "name one with --canary, or start with --percent 100",
            code="canary",
        )
    first = min(devices, key=lambda device: bucket(release, device), default="")
    return replace(deployment, canaries=(*canaries, first)) if first else deployment


def judge(deployment: Deployment, words: Mapping[str, Word], policy: RolloutPolicy) -> RolloutVerdict:
    """Judge the current step. ``words``: device of the group -> its last reported state."""
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
    """The deployment with the share of the next step."""
    return replace(deployment, percent=next((s for s in sorted(policy.steps) if s > deployment.percent), 100.0))


def stopped(deployment: Deployment) -> Deployment:
    """Stop the rollout: return all devices to the base release, or hold where there is none."""
    if deployment.base:
        return replace(deployment, release=deployment.base, percent=100.0, canaries=())
    return replace(deployment, hold=True)


@dataclass(frozen=True, slots=True)
class RolloutWish:
    """What an operator asks for; empty or None: no change."""

    group: str = "all"
    release: str | None = None
    percent: float = 100.0
    """of the group, of the first step of ``release``"""
    canaries: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    """``DEVICE=RELEASE``; an empty release unpins the device"""
    hold: bool | None = None


def changed(now: Deployment | None, wish: RolloutWish, devices: Sequence[str]) -> Deployment:
    """The deployment that ``wish`` makes of ``now``. ``devices``: those known of the group.

    Raises InputError where nothing is deployed and ``wish`` names no release, or as ``start``.
    """
    if wish.release:
        base = "" if now is None else now.base
        if now is not None and now.release != wish.release and now.percent >= 100:
            base = now.release
        made = start(wish.group, wish.release, base, devices, wish.percent, wish.canaries)
        made = replace(made, pins=now.pins if now else {}, number=now.number if now else 1)
    elif now is None:
        raise InputError(f"nothing is deployed to {wish.group!r}", "name a release", code="nothing_deployed")
    else:
        made = now
    pins = dict(made.pins)
    for one in wish.pins:
        device, _, release = one.partition("=")
        pins.pop(device, None)
        pins |= {device: release} if release else {}
    return replace(made, pins=pins, hold=made.hold if wish.hold is None else wish.hold)


def advanced(
    deployment: Deployment, words: Mapping[str, Word], policy: RolloutPolicy
) -> tuple[Deployment, RolloutVerdict]:
    """The next step of a rollout, or its end, by what the devices have reported."""
    verdict = judge(deployment, words, policy)
    if verdict.action == "grow":
        return grown(deployment, policy), verdict
    return (stopped(deployment) if verdict.action == "stop" else deployment), verdict


def words_of(reported: Mapping[str, Mapping[str, str]], group: str) -> dict[str, Word]:
    """The state of each device of a group. ``reported``: device -> its last ``up/reported``."""
    return {
        device: Word(one.get("release", ""), one.get("phase", ""), one.get("desired", ""), one.get("error", ""))
        for device, one in sorted(reported.items())
        if (one.get("group") or "all") == group
    }
