"""What would be enrolled of pictures that somebody has shown: held until it has a name. No picture is held."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.api.web.texts import TRY
from edge.core.errors import NotFoundError
from edge.core.imaging import image as pictures
from edge.core.imaging.drawing import square_jpeg
from edge.recognition.enrollment import HINTS, best

if TYPE_CHECKING:
    from edge.core.types import FloatArray, Match, Picture
    from edge.recognition.extraction import ExtractedFace, FaceExtractor
    from edge.recognition.store.collection import Collection
    from edge.recognition.subject_search import SubjectSearch

MOST_HELD = 64
HELD_SECONDS = 15 * 60.0
MOST_FACES = 8
"""of one picture, the largest"""
NEAREST = 3
"""subjects that are told beside a face"""
WIDTH = 960
"""pixels of the picture that is shown"""
SIDE, AROUND = 200, 0.25
"""pixels of a face, and the share of its box that is shown on each side"""


@dataclass(frozen=True, slots=True)
class EnrollmentPreview:
    """What was found in one picture."""

    collection: str
    label: str
    digest: str
    """of the picture"""
    seen: tuple[ExtractedFace, ...]


class EnrollmentPreviews:
    """The looks that wait for a name. On one thread."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[float, EnrollmentPreview]] = OrderedDict()

    def keep(self, look: EnrollmentPreview) -> str:
        """Hold it. Returns the word to ask for it by."""
        now, word = time.monotonic(), secrets.token_urlsafe(12)
        self._held[word] = now + HELD_SECONDS, look
        while len(self._held) > MOST_HELD or next(iter(self._held.values()))[0] < now:
            self._held.popitem(last=False)
        return word

    def get(self, word: str) -> EnrollmentPreview:
        """Raises NotFoundError for one that was held too long."""
        until, look = self._held.get(word, (0.0, None))
        if look is None or until < time.monotonic():
            raise NotFoundError("this picture is not held any more", "take it again")
        return look


def digest_of(picture: Picture) -> str:
    """Stands for a camera's picture, of which there is no file."""
    return hashlib.sha256(np.ascontiguousarray(picture.data).tobytes()).hexdigest()


def look(picture: Picture, digest: str, finder: FaceExtractor, collection: Collection) -> EnrollmentPreview:
    """Find and embed the largest detections."""
    found = finder.detect(picture)[:MOST_FACES]
    return EnrollmentPreview(collection.name, finder.label, digest, tuple(finder.embed(picture, found)))


def document(look: EnrollmentPreview, picture: Picture, search: SubjectSearch) -> dict[str, Any]:
    """What the page shows of it, pictures included."""
    width = min(WIDTH, picture.width)
    shown = pictures.resized_rgb(picture, width, max(1, round(picture.height * width / picture.width)))
    chosen = [one.detection for one in look.seen]
    good = [one.detection for one in look.seen if one.embedding is not None] or chosen
    return {
        "collection": look.collection,
        "label": look.label,
        "match": round(search.scorer.typical_cosine(search.needed), 4),
        "picture": _data(pictures.encode_jpeg(shown, 80)),
        "width": picture.width,
        "height": picture.height,
        "best": chosen.index(best(good)) if good else None,
        "faces": [_face(one, look.label, picture, search) for one in look.seen],
        **_why_not("" if chosen else "no_face", look.label),
    }


def nearest(seen: ExtractedFace, search: SubjectSearch) -> list[Match]:
    """The nearest subjects, most alike first."""
    if seen.embedding is None:
        return []
    query: FloatArray = seen.embedding.vector[np.newaxis]
    return search.subjects(query, seen.embedding.space)[0]


def _face(seen: ExtractedFace, label: str, picture: Picture, search: SubjectSearch) -> dict[str, Any]:
    box = seen.detection.box.clipped()
    return {
        "box": [round(value, 4) for value in (box.left, box.top, box.width, box.height)],
        "score": round(seen.detection.score, 3),
        "quality": round(seen.quality.score, 3),
        "pixels": round(seen.quality.size),
        "picture": _data(square_jpeg(picture, seen.detection.box, SIDE, AROUND)),
        "nearest": [
            {
                "subject": one.name,
                "similarity": round(one.similarity, 4),
                "likeness": round(one.likeness, 2),
                "match": one.likeness >= search.needed,
            }
            for one in nearest(seen, search)[:NEAREST]
        ],
        **_why_not(seen.reason, label),
    }


def _why_not(reason: str, label: str) -> dict[str, str]:
    if not reason:
        return {"reason": ""}
    words = HINTS.get(reason, reason).format(label=label)
    return {"reason": reason, "error": words, "try": TRY.get(reason, TRY["low_quality"])}


def _data(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
