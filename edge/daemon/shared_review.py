"""The review questions of this device for its hub, where ``commands.review_key`` is set."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from edge.core.errors import NotFoundError, StoreError
from edge.core.settings.schema import Settings
from edge.core.terminal import plain
from edge.labels.store import labels_of
from edge.mqtt.command_auth import Done
from edge.recognition.review.answers import ReviewService, searches
from edge.recognition.review.database import FILE
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.sharing import QuestionSharing
from edge.recognition.store.collections import Collections

log = logging.getLogger(__name__)


class SharedReview:
    """Opens the queue when it is needed; its file is created only where ``review.enabled`` is set.

    ``counts`` may be called from any thread, the commands from one at a time.
    """

    def __init__(self, settings: Settings, state: Path, collections: Collections) -> None:
        self._settings, self._state, self._collections = settings, state, collections
        self._lock = threading.Lock()
        self._queue: ReviewQueue | None = None
        self._sharing: QuestionSharing | None = None

    def counts(self) -> dict[str, int]:
        """For ``up/stats``: the number of pending questions and the id of the newest crop."""
        try:
            kept = self._opened().kept()
        except NotFoundError:
            return {"waiting": 0, "newest": 0}
        except StoreError as error:
            log.warning("review: %s", error)
            return {}
        return {"waiting": kept.waiting, "newest": kept.newest}

    def questions(self, given: dict[str, Any]) -> Done:
        """The command ``review``. Raises EdgeError."""
        return Done(self._shared().questions(given))

    def answered(self, given: dict[str, Any]) -> Done:
        """The command ``review_answer``. Raises EdgeError."""
        sharing = self._shared()
        found = sharing.answered(given)
        for answer, outcome in found:
            log.info(
                "review: answer %s to question %d by %s at the hub: %s",
                answer.answer, answer.id, plain(answer.who) or "a command", outcome.code,
            )  # fmt: skip
        return Done(sharing.sealed_outcomes(given, [outcome for _, outcome in found]))

    def close(self) -> None:
        if self._queue is not None:
            self._queue.close()

    def _opened(self) -> ReviewQueue:
        with self._lock:
            if self._queue is None:
                if not self._settings.review.enabled and not (self._state / FILE).exists():
                    raise NotFoundError("there is no review queue on this device", "set review.enabled = true there")
                self._queue = ReviewQueue(self._state, self._settings.review)
            return self._queue

    def _shared(self) -> QuestionSharing:
        if self._sharing is None:
            queue = self._opened()
            service = ReviewService(queue, self._collections, searches(self._settings, self._state, queue.rejections))
            key = self._settings.commands.review_key.get_secret_value()
            self._sharing = QuestionSharing(
                self._settings.device.name, key, queue, service, lambda version: labels_of(self._state, version)
            )
        return self._sharing
