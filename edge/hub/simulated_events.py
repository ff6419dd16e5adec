"""Events of a simulated device, filled into payloads that are serialized once as a real device does it."""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass
from functools import cache

from edge.core.types import Box, Event, EventType, Identity, IdentityState, Queued
from edge.mqtt.messages import event_json

SUBJECTS = ("alice", "bob", "carol", "dave", "erin")
CAMERAS = ("door", "yard")
TRACKS = 3
"""maximum at the same time"""
START, END = 0.3, 0.4
"""probability that an event starts a track while there are fewer than TRACKS, and that another one ends its track"""
EPOCH, SEQ, AFTER, TIME, STARTED = 1_111_111_111, 2_222_222_222, 3_333_333_333, 4_444_444_444.0, 5_555_555_555.0
DEVICE, TRACK = "placeholder-device", "placeholder-track"
"""values of a serialized event that are replaced in each payload"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What does not change along a track."""

    camera: str
    label: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class _Track:
    kind: _Kind
    name: bytes
    started: float
    """seconds since the epoch"""


KINDS = [
    _Kind(camera, label, subject)
    for camera in CAMERAS
    for label, subject in (*(("face", one) for one in SUBJECTS), ("face", ""), ("person", ""))
]


class SimulatedTracks:
    """The tracks of one device."""

    def __init__(self, device: str, epoch: int, chance: random.Random) -> None:
        self._device, self._epoch, self._chance = device.encode(), epoch, chance
        self._tracks: list[_Track] = []
        self._numbers = itertools.count(1)

    def event(self, seq: int, after: int) -> tuple[str, bytes]:
        """Start, update or end a random track; returns the camera and the payload of its event."""
        draw, now, kind = self._chance.random, time.time(), "update"
        if not self._tracks or (len(self._tracks) < TRACKS and draw() < START):
            kind = "new"
            track = _Track(KINDS[int(draw() * len(KINDS))], b"1-%d" % next(self._numbers), now)
            self._tracks.append(track)
        else:
            at = int(draw() * len(self._tracks))
            track = self._tracks[at]
            if draw() < END:
                kind = "end"
                del self._tracks[at]
        return track.kind.camera, _template(track.kind, kind) % {
            b"device": self._device,
            b"epoch": self._epoch,
            b"seq": seq,
            b"after": after,
            b"track": track.name,
            b"time": now,
            b"started": track.started,
        }  # fmt: skip


@cache
def _template(kind: _Kind, event_type: EventType) -> bytes:
    """A serialized event with %-placeholders for what differs."""
    identity = Identity()
    if kind.subject:
        identity = Identity(IdentityState.KNOWN, kind.subject, 0.7431, 0.2, f"face-{kind.subject}", "staff")
    event = Event(
        event_type, kind.camera, TRACK, kind.label, 0.9, Box(0.41, 0.2, 0.61, 0.6), identity, ("mat",), TIME, STARTED,
        TIME if event_type == "end" else None, release="sim.1", reason="left" if event_type == "end" else "",
    )  # fmt: skip
    text = event_json(DEVICE, Queued(SEQ, EPOCH, SEQ, AFTER, event), with_after=True).replace(b"%", b"%%")
    placeholders = {
        DEVICE: b"%(device)b", TRACK: b"%(track)b", str(EPOCH): b"%(epoch)d", str(SEQ): b"%(seq)d",
        str(AFTER): b"%(after)d", str(TIME): b"%(time).3f", str(STARTED): b"%(started).3f",
    }  # fmt: skip
    for value, placeholder in placeholders.items():
        text = text.replace(value.encode(), placeholder)
    return text
