"""The daemon's side: an anchor that another process adds counts from the next look on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rigs.fakes import RULES, SPACE, CountsEmbeddings, KnowsAlice, SeesOneFace, a_frame, ids

from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, IdentityState
from edge.pipeline.model_set import FaceRecognizer, ModelSet
from edge.pipeline.pipeline import Pipeline
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.rejections import RejectionIndex


def test_a_look_alike_that_was_rejected_is_not_named_any_more(tmp_path: Path) -> None:
    settings = Settings(cameras=(CameraSettings(name="door", detectors=("fake",)),))
    recognizer = FaceRecognizer(CountsEmbeddings(), KnowsAlice(0.8, rejections=RejectionIndex(tmp_path)), RULES)
    model_set = ModelSet("", {"fake": SeesOneFace()}, {"face": 0.5}, {"face": recognizer})

    def named(first: int) -> set[IdentityState]:
        pipeline = Pipeline(settings.cameras[0], settings, model_set, ids())
        events = [event for number in range(first, first + 12) for event in pipeline.process(a_frame(number)).events]
        return {event.identity.state for event in events + pipeline.finish()}

    assert IdentityState.KNOWN in named(0)
    vector = np.array([1, 0, 0, 0], np.float32)
    box = Box(0.1, 0.1, 0.2, 0.2)
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        queue.put(
            [ReviewQuestion("audit", 4e9, "door", "1-1", "face", "staff", SPACE, box, 0.9, 0.9, "alice", (), vector)]
        )
        queue.answer(queue.doubts()[0], "rejected", "alice")
    assert IdentityState.KNOWN not in named(100)
