"""Bounded work queues with threads: many clients wait, and cameras keep their rate.

One thread runs the models of the endpoint, at a lower priority and for no more than its share of a core; a few more
answer what needs the store alone.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from edge.core.errors import BusyError
from edge.core.system.hardware import lower_priority
from edge.core.system.heartbeat import Heartbeat

log = logging.getLogger(__name__)

NICENESS = 10
"""added to the priority of the thread that runs models: cameras go first"""

Job = tuple[Future[Any], Callable[[], Any]]


class WorkQueue:
    """Threads that take jobs from one bounded queue.

    ``share``: of one core, 0..1, that each thread may use over time; after a job it rests as long as that takes.
    """

    def __init__(self, name: str, waiting: int, threads: int = 1, share: float = 1.0, niceness: int = 0) -> None:
        self.name = name
        self.done = 0
        self.refused = 0
        self._share = share
        self._niceness = niceness
        self._jobs: queue.Queue[Job | None] = queue.Queue(maxsize=waiting)
        self.pulses = {f"api-{name}-{number}": Heartbeat() for number in range(threads)}
        """by thread; it rests while it waits for a job"""
        self._threads = [
            threading.Thread(target=self._work, args=(pulse,), name=thread, daemon=True)
            for thread, pulse in self.pulses.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the job at hand, refuse what still waits, end the threads."""
        self._refuse_waiting()
        started = [thread for thread in self._threads if thread.is_alive()]
        for _ in started:
            self._jobs.put(None)
        for thread in started:
            thread.join()
        self._refuse_waiting()

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Run ``work`` when its turn comes. Raises BusyError where the queue is full."""
        future: Future[Any] = Future()
        try:
            self._jobs.put_nowait((future, work))
        except queue.Full as error:
            self.refused += 1
            raise BusyError("Provisioned Rate exceeded.") from error
        return future

    @property
    def waiting(self) -> int:
        return self._jobs.qsize()

    def _work(self, pulse: Heartbeat) -> None:
        if self._niceness:
            lower_priority(self._niceness)
        while (job := self._jobs.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            pulse.beat()
            began = time.thread_time()
            _run(future, work)
            pulse.rest()
            self.done += 1
            if self._share < 1:
                time.sleep((time.thread_time() - began) * (1 - self._share) / self._share)

    def _refuse_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job[0].set_exception(BusyError("The endpoint is stopping."))


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001  whoever waits for the future raises it
        future.set_exception(error)
