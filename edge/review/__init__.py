"""Doubtful matches waiting for a person, what was answered, and what answers hold away from a name."""

from edge.review.anchors import Anchors
from edge.review.doubt import Doubt, Nearest
from edge.review.examples import Confirmed, Examples
from edge.review.portraits import Portraits, PortraitStore
from edge.review.queue import Answered, Kept, ReviewQueue

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
