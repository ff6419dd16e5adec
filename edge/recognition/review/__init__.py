"""Doubtful matches waiting for a person, what was answered, and what answers hold away from a name."""

from edge.recognition.review.face_crops import Portraits, PortraitStore
from edge.recognition.review.label_examples import Confirmed, Examples
from edge.recognition.review.question import Doubt, Nearest
from edge.recognition.review.queue import Answered, Kept, ReviewQueue
from edge.recognition.review.rejections import Anchors

__all__ = [
    "Anchors",
    "Answered",
    "Confirmed",
    "Doubt",
    "Examples",
    "Kept",
    "Nearest",
    "PortraitStore",
    "Portraits",
    "ReviewQueue",
]
