"""Exchanges review questions with devices in the background: after each change, and for each answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from edge.core.errors import EdgeError
from edge.core.settings.messaging import MqttSettings
from edge.hub.command_client import CommandClient
from edge.hub.review.store import FleetQuestions
from edge.hub.review.sync import exchange

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

log = logging.getLogger(__name__)

PAUSE = 2.0
"""seconds between two reads of the reports of devices"""
WORKERS = 8
"""devices at once"""
RETRY = 60.0
"""seconds after a failed exchange with a device"""

ReportedCounts = Mapping[str, tuple[int, int] | None]
"""online device -> its pending questions and the newest id (``up/stats``); None: it shares none"""


class ReviewExchanger:
    """Runs from ``start`` to ``stop``. ``reported`` may raise EdgeError."""

    def __init__(
        self, mqtt: MqttSettings, private: Ed25519PrivateKey, store: FleetQuestions,
        reported: Callable[[], ReportedCounts],
    ) -> None:  # fmt: skip
        self._mqtt, self._private, self._store, self._reported = mqtt, private, store, reported
        self._done: dict[str, tuple[int, int]] = {}
        """device -> what it had reported before its latest successful exchange"""
        self._failed: dict[str, float] = {}
        """device -> monotonic time of the latest failed exchange, seconds"""
        self._wake, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="review", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wake(self) -> None:
        """An answer was given: deliver it now, also to a device that has failed lately."""
        self._failed.clear()
        self._wake.set()

    def once(self, client: CommandClient) -> None:
        """Exchange with every device that has something. Raises EdgeError."""
        reported = self._reported()
        for device in self._store.devices():
            if device in reported and reported[device] is None:
                self._store.drop(device)
        now = time.monotonic()
        answered = {one.device for one in self._store.answers() if not one.code}
        wanted = [
            (device, counts)
            for device, counts in reported.items()
            if counts is not None
            and (device in answered or self._done.get(device) != counts)
            and now - self._failed.get(device, float("-inf")) > RETRY
        ]
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="review") as pool:
            list(pool.map(lambda one: self._exchange(client, *one), wanted))

    def _exchange(self, client: CommandClient, device: str, counts: tuple[int, int]) -> None:
        if self._stopping:
            return
        try:
            exchange(client, device, self._private, self._store)
        except EdgeError as error:
            log.log(logging.DEBUG if device in self._failed else logging.WARNING, "review: %s", error)
            self._failed[device] = time.monotonic()
        else:
            self._failed.pop(device, None)
            self._done[device] = counts

    def _run(self) -> None:
        with CommandClient(self._mqtt) as client:
            while not self._stopping:
                self._wake.clear()
                try:
                    self.once(client)
                except EdgeError as error:
                    log.warning("review: %s", error)
                self._wake.wait(PAUSE)
