"""Load shedding when the board cannot keep up or gets hot: always in the same order, one step at a time.

First the rate, then small regions of motion and the tiles that look at them, then embeddings. A step is taken when
the pressure lasts, and taken back when there has been room to spare for a while. A step back that did not hold is
tried again after twice the time, so that a load at the edge does not make the device swing.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.core.settings.vision import SheddingSettings

SLOWEST = 1.0
"""frames a second that a camera keeps, where it has them: with fewer, tracks would break"""
LEAST_MOTION = 0.01
"""share of moving area from which frames are processed while small regions are shed"""
STEADY = 600.0
"""seconds: the longest backoff of a recovery step, and how long a step must last to count as stable"""
HEAT_SECONDS = 20.0
"""minimum time per step under heat: a board cools slowly"""
ROOM = 0.5
"""share of the latency budget below which a recovery step is allowed"""


@dataclass(frozen=True, slots=True)
class ShedLevel:
    """Limits of one level of load shedding."""

    rate: float = 1.0
    """share of each camera's frames a second that is looked at"""
    regions: bool = True
    """whether small regions of motion are looked at, and tiles"""
    embeddings: int | None = None
    """of a frame, at most; None: as the settings say"""


NOTHING = ShedLevel()
LADDER = (
    NOTHING,
    ShedLevel(rate=0.5),
    ShedLevel(rate=0.25),
    ShedLevel(rate=0.25, regions=False),
    ShedLevel(rate=0.25, regions=False, embeddings=1),
)
"""by level: each sheds what the one before sheds, and more"""
WORDS = ("", "half the rate", "most of the rate", "rate and small motion", "rate, small motion and embeddings")
"""description of each level"""
TOP = len(LADDER) - 1


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of the board; None where unknown."""

    latency: float | None = None
    """seconds from exposure to outbox, of the middle frame lately"""
    temperature: float | None = None
    """degrees Celsius"""
    throttled: tuple[str, ...] = ()
    """throttling conditions, from ``edge.core.system.hardware.throttled``"""


class LoadShedder:
    """Chooses the level. One thread at a time; times are monotonic seconds."""

    def __init__(self, limits: SheddingSettings) -> None:
        self.level = 0
        self.why = ""
        """what led to the level; empty at 0"""
        self.changed = float("-inf")
        """when the level changed last"""
        self._limits = limits
        self._pressed: float | None = None
        self._relieved: float | None = None
        self._recovered = False
        """whether the latest change was a recovery step"""
        self._failures: dict[int, int] = {}
        """level -> consecutive recovery steps to it that did not last"""

    @property
    def shed(self) -> ShedLevel:
        return LADDER[self.level]

    def step(self, now: float, measured: Measured) -> bool:
        """Update the level by a measurement; whether it has changed."""
        heat, reasons = self._pressure(measured)
        if reasons:
            self._relieved, self._pressed = None, now if self._pressed is None else self._pressed
            self.why = reasons if self.level else ""
            patience = max(self._limits.worsen_seconds, HEAT_SECONDS if heat and self.level else 0.0)
            return (
                self.level < TOP and now - max(self._pressed, self.changed) >= patience and self._worsen(now, reasons)
            )
        self._pressed = None
        if not self._has_room(measured):
            self._relieved = None
            return False
        self._relieved = now if self._relieved is None else self._relieved
        waited = now - max(self._relieved, self.changed)
        return self.level > 0 and waited >= self._patience(self.level - 1) and self._recover(now)

    def _pressure(self, measured: Measured) -> tuple[bool, str]:
        """Whether heat or supply is the cause, and the reasons as text; empty where there is none."""
        limits, hot = self._limits, []
        if measured.temperature is not None and measured.temperature > limits.temperature:
            hot.append(f"{measured.temperature:.0f} °C, {limits.temperature:.0f} at most")
        hot += [flag.replace("_", " ") for flag in measured.throttled]
        slow = []
        if measured.latency is not None and measured.latency > limits.latency:
            slow.append(f"a frame takes {measured.latency:.2f} s, {limits.latency:.2f} at most")
        return bool(hot), ", ".join(hot + slow)

    def _has_room(self, measured: Measured) -> bool:
        limits = self._limits
        cool = measured.temperature is None or measured.temperature <= limits.temperature - limits.cooler
        return cool and (measured.latency is None or measured.latency <= ROOM * limits.latency)

    def _patience(self, level: int) -> float:
        """Seconds of relief before ``level`` is tried again."""
        once = self._limits.recover_seconds
        return min(max(STEADY, once), once * 2.0 ** self._failures.get(level, 0))

    def _worsen(self, now: float, why: str) -> bool:
        if self._recovered:
            held = now - self.changed >= STEADY
            self._failures[self.level] = 0 if held else min(16, self._failures.get(self.level, 0) + 1)
        self.level, self.changed, self.why, self._recovered = self.level + 1, now, why, False
        return True

    def _recover(self, now: float) -> bool:
        self.level, self.changed, self._recovered = self.level - 1, now, True
        self.why = self.why if self.level else ""
        return True


class EmbeddingPace:
    """Passes the frames of one camera at a share of its rate."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._latest = float("-inf")

    def due(self, moment: float, share: float) -> bool:
        """Whether the frame of ``moment`` (monotonic seconds) is looked at. All of them while the share is 1."""
        fps = max(self._fps * share, min(self._fps, SLOWEST))
        # half a frame early is on time: the source's own pace is not exact
        if fps < self._fps and moment - self._latest < 1 / fps - 0.5 / self._fps:
            return False
        self._latest = moment
        return True
