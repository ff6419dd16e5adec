"""Bounded work queues with worker threads, so that many clients do not slow down the cameras.

One thread runs the endpoint's models, at a lower priority and limited to its share of a core; a few more threads serve
requests that only need the store.
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
"""niceness added to the thread that runs models, so that cameras have priority"""

Job = tuple[Future[Any], Callable[[], Any]]


class WorkQueue:
    """Worker threads that take jobs from one bounded queue.

    ``share``: fraction 0..1 of one core that each thread may use; after a job it pauses accordingly.
    """

    def __init__(self, name: str, waiting: int, threads: int = 1, share: float = 1.0, niceness: int = 0) -> None:
        self.name = name
        self.done = 0
        self.refused = 0
        self._share = share
        self._niceness = niceness
        self._jobs: queue.Queue[Job | None] = queue.Queue(maxsize=waiting)
        self.pulses = {f"api-{name}-{number}": Heartbeat() for number in range(threads)}
        """by thread; paused while the thread waits for a job"""
        self._threads = [
            threading.Thread(target=self._work, args=(pulse,), name=thread, daemon=True)
            for thread, pulse in self.pulses.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the running job, refuse waiting jobs, end the threads."""
        self._refuse_waiting()
        started = [thread for thread in self._threads if thread.is_alive()]
        for _ in started:
            self._jobs.put(None)
        for thread in started:
            thread.join()
        self._refuse_waiting()

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """Queue ``work``. Raises BusyError where the queue is full."""
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
    except BaseException as error:  # noqa: BLE001  raised to the waiter of the future
        future.set_exception(error)
