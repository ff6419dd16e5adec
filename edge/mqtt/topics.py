"""All topics, with the root ``edge/v1/<device>/``. Each part is validated; labels and subjects are never part of one.

``up`` and ``down`` are separate, so that a broker's ACL can restrict a device to its own topics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.core.errors import InputError

ROOT = "edge/v1"
DEVICE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
CAMERA = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""name of a stream processor, an operation, or a response"""

NAMED = {
    "event": CAMERA, "recognized": CAMERA, "notification": CAMERA, "state": CAMERA, "snapshot": CAMERA,
    "rekognition": NAME, "rsp": NAME, "cmd": NAME,
}  # fmt: skip
"""kinds followed by a name, and the pattern of the name"""
HALVES = {
    "up": {
        "status",
        "info",
        "event",
        "recognized",
        "notification",
        "state",
        "stats",
        "snapshot",
        "reported",
        "forgotten",
        "rekognition",
        "rsp",
    },
    "down": {"cmd", "desired", "ack"},
}
LONGEST = 512
"""maximum characters of a received topic; our topics are much shorter"""


def part(rule: re.Pattern[str], what: str, value: str) -> str:
    """``value`` where it matches ``rule``. Raises InputError otherwise."""
    if not isinstance(value, str) or not rule.fullmatch(value):
        raise InputError(
            f"{what}: expected {rule.pattern}, got {value[:80]!r}", f"use letters, digits and '-' for the {what}"
        )
    return value


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed topic."""

    device: str
    half: str
    """``up`` or ``down``"""
    kind: str
    """``event``, ``status``, ``ack``, ..."""
    name: str = ""
    """the camera, processor, operation or response; empty where the kind has no name"""


class Topics:
    """The topics of one device. Raises InputError for names that are invalid in a topic."""

    def __init__(self, device: str) -> None:
        self.device = part(DEVICE, "device", device)
        root = f"{ROOT}/{self.device}"
        self._up, self._down = f"{root}/up", f"{root}/down"
        self.status, self.info = f"{self._up}/status", f"{self._up}/info"
        self.stats, self.reported = f"{self._up}/stats", f"{self._up}/reported"
        self.forgotten = f"{self._up}/forgotten"
        self.desired, self.ack = f"{self._down}/desired", f"{self._down}/ack"
        self.commands = f"{self._down}/cmd/+"
        """filter of all commands"""

    def event(self, camera: str) -> str:
        return f"{self._up}/event/{part(CAMERA, 'camera', camera)}"

    def recognized(self, camera: str) -> str:
        return f"{self._up}/recognized/{part(CAMERA, 'camera', camera)}"

    def notification(self, camera: str) -> str:
        return f"{self._up}/notification/{part(CAMERA, 'camera', camera)}"

    def state(self, camera: str) -> str:
        return f"{self._up}/state/{part(CAMERA, 'camera', camera)}"

    def snapshot(self, camera: str) -> str:
        return f"{self._up}/snapshot/{part(CAMERA, 'camera', camera)}"

    def rekognition(self, processor: str) -> str:
        return f"{self._up}/rekognition/{part(NAME, 'stream processor', processor)}"

    def response(self, name: str) -> str:
        return f"{self._up}/rsp/{part(NAME, 'response', name)}"

    def command(self, operation: str) -> str:
        return f"{self._down}/cmd/{part(NAME, 'operation', operation)}"


def reports(device: str = "", kind: str = "#") -> str:
    """Topic filter of the reports of one or all devices, of all kinds or one."""
    who = part(DEVICE, "device", device) if device else "+"
    if kind == "#":
        return f"{ROOT}/{who}/up/#"
    if kind not in HALVES["up"]:
        raise InputError(
            f"kind: expected one of {', '.join(sorted(HALVES['up']))}, got {kind[:80]!r}", "check the kind"
        )
    return f"{ROOT}/{who}/up/{kind}/+" if kind in NAMED else f"{ROOT}/{who}/up/{kind}"


def parse(topic: str) -> Address:
    """Parse a received topic. Raises InputError where it is not one of this API."""
    levels = topic.split("/") if len(topic) <= LONGEST else []
    if len(levels) not in (5, 6) or "/".join(levels[:2]) != ROOT or levels[4] not in HALVES.get(levels[3], ()):
        raise InputError(f"topic: expected one below {ROOT}/, got {topic[:80]!r}", "ignore it")
    device, half, kind = part(DEVICE, "device", levels[2]), levels[3], levels[4]
    rule = NAMED.get(kind)
    if (rule is None) != (len(levels) == 5):
        raise InputError(f"topic {topic[:80]!r}: {kind} has {'a' if rule else 'no'} name after it", "ignore it")
    return Address(device, half, kind, part(rule, kind, levels[5]) if rule else "")
