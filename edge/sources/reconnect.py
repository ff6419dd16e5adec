"""Reconnects a live source that fails, with a backoff that grows."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edge.core.errors import AccessError, SourceError
from edge.core.types import Frame
from edge.sources.base import CameraState, FrameSource
from edge.sources.factory import open_source

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings

logger = logging.getLogger(__name__)


REFUSED, MOST_REFUSED = 1200.0, 7200.0
"""seconds: first and longest pause after a login that a camera refused"""


class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds, each shortened at random by up to a half.

    The jitter keeps the cameras of a site from connecting to a recorder at the same moment after a power cut.
    """

    def __init__(self, first: float = 1.0, most: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._first, self._most, self._chance = first, most, chance
        self._failures = self._refusals = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        pause = min(self._most, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return pause * (1 - self._chance() / 2)

    def refused(self) -> float:
        """Seconds to wait after a login that was refused: cameras lock an address out after a few of them."""
        pause = min(MOST_REFUSED, REFUSED * 2.0 ** min(self._refusals, 30))
        self._refusals += 1
        return pause * (1 - self._chance() / 2)

    def reset(self) -> None:
        """Reset after a success."""
        self._failures = self._refusals = 0


STEADY = 10.0
"""Seconds of frames after which a camera counts as well again. One that gives a frame and breaks keeps its pauses."""


def reconnecting(
    camera: CameraSettings,
    stop: threading.Event,
    on_state: Callable[[CameraState], None],
    backoff: Backoff | None = None,
) -> Iterator[Frame]:
    """The frames of a camera until ``stop`` is set, or until a stored source ends; sequences go on across reopening.

    Raises SettingsError, and SourceError where a stored source cannot be read: trying again would not help it.
    """
    backoff, sequence = backoff or Backoff(), 0
    progress = _Progress(camera.name, on_state, backoff)
    while not stop.is_set():
        source = open_source(camera)
        progress.opening(source)
        try:
            with contextlib.closing(source):
                for frame in source.frames():
                    progress.frame()
                    yield dataclasses.replace(frame, sequence=sequence)
                    sequence += 1
                    if stop.is_set():
                        return
            if not source.live:
                return
            reason, pause = f"{source.name} ended", backoff.next()
        except AccessError as error:
            pause = backoff.refused()
            reason = f"{error.message}; tried again in {pause / 60:.0f} minutes, or at once after a reload"
        except SourceError as error:
            reason, pause = error.message, backoff.next()
            if not source.live:
                on_state(CameraState(camera.name, "lost", reason))
                raise
        progress.failed(reason)
        _pause(stop, pause)


_retries = itertools.count()
_retry = next(_retries)
"""changes with each ``retry_now``"""
LOOK_SECONDS = 1.0
"""between two checks at whether to try again now"""


def retry_now() -> None:
    """Have every waiting camera retry now: its password may have been corrected."""
    global _retry  # every camera's thread looks at it
    _retry = next(_retries)


def _pause(stop: threading.Event, seconds: float) -> None:
    began, until = _retry, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and began == _retry and not stop.wait(min(left, LOOK_SECONDS)):
        pass


class _Progress:
    """Reports the status of a camera: the first failure of a series and the recovery are logged."""

    def __init__(self, camera: str, on_state: Callable[[CameraState], None], backoff: Backoff) -> None:
        self._camera, self._on_state, self._backoff = camera, on_state, backoff
        self._failures = 0
        self._began: float | None = None
        """monotonic seconds of the first frame since the source was opened"""
        self._waits = self._told = False

    def opening(self, source: FrameSource) -> None:
        self._began, self._waits, self._told = None, False, False
        self._on_state(CameraState(self._camera, "connecting"))
        if hasattr(source, "on_waiting"):
            source.on_waiting = self._waiting

    def frame(self) -> None:
        now = time.monotonic()
        if self._began is None or self._waits:
            self._began = now if self._began is None else self._began
            self._waits = False
            if self._failures:
                logger.info("camera %s is back after %d failures", self._camera, self._failures)
            self._failures = 0
            self._on_state(CameraState(self._camera, "live"))
        elif now - self._began > STEADY:
            self._backoff.reset()

    def failed(self, reason: str) -> None:
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        logger.log(level, "camera %s is lost: %s", self._camera, reason)
        self._on_state(CameraState(self._camera, "lost", reason))

    def _waiting(self, reason: str) -> None:
        """Logged once for each opening, shown as the camera's state each time."""
        if not self._told:
            logger.warning("camera %s: %s", self._camera, reason)
        self._waits = self._told = True
        self._on_state(CameraState(self._camera, "connecting", reason))
