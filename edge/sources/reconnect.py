"""Keeps a camera delivering: a live source that fails is opened again, after a pause that grows."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edge.core.credentials import mask_credentials
from edge.core.errors import SourceError
from edge.core.types import Frame
from edge.sources.base import CameraState
from edge.sources.factory import open_source as open_source

if TYPE_CHECKING:
    from edge.core.settings.vision import CameraSettings

logger = logging.getLogger(__name__)


class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds, each shortened at random by up to a half.

    The shortening keeps the cameras of a house from knocking at its recorder all at once after a power cut.
    """

    def __init__(self, first: float = 1.0, most: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._first, self._most, self._chance = first, most, chance
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        pause = min(self._most, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return pause * (1 - self._chance() / 2)

    def reset(self) -> None:
        """It works again."""
        self._failures = 0


class _Streak:
    """Logs failures in a row: the first loudly, the others not, the recovery with their number."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._failures = 0

    def failed(self, reason: str) -> None:
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        logger.log(level, "camera %s is lost: %s", self._camera, reason)

    def recovered(self) -> None:
        if self._failures:
            logger.info("camera %s is back after %d failures", self._camera, self._failures)
        self._failures = 0


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
    backoff, streak, sequence = backoff or Backoff(), _Streak(camera.name), 0
    while not stop.is_set():
        on_state(CameraState(camera.name, "connecting"))
        source = open_source(camera)
        began: float | None = None
        try:
            with contextlib.closing(source):
                for frame in source.frames():
                    if began is None:
                        began = time.monotonic()
                        streak.recovered()
                        on_state(CameraState(camera.name, "live"))
                    elif time.monotonic() - began > STEADY:
                        backoff.reset()
                    yield dataclasses.replace(frame, sequence=sequence)
                    sequence += 1
                    if stop.is_set():
                        return
            if not source.live:
                return
            reason = f"{source.name} ended"
        except SourceError as error:
            reason = mask_credentials(error.message)
            if not source.live:
                on_state(CameraState(camera.name, "lost", reason))
                raise
        streak.failed(reason)
        on_state(CameraState(camera.name, "lost", reason))
        stop.wait(backoff.next())
