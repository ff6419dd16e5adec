"""Enrollment previews: embeddings of submitted pictures, kept until they are named. Pictures are not kept."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.api.web.texts import advice
from edge.core.errors import NotFoundError
from edge.core.imaging import image as pictures
from edge.core.imaging.drawing import square_jpeg
from edge.recognition.enrollment import HINTS, best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.core.types import FloatArray, Match, Picture
    from edge.recognition.extraction import ExtractedFace, FaceExtractor
    from edge.recognition.store.collection import Collection
    from edge.recognition.subject_search import SubjectSearch

MOST_HELD = 64
HELD_SECONDS = 15 * 60.0
MOST_FACES = 8
"""faces per picture, the largest"""
NEAREST = 3
"""nearest subjects shown for a face"""
WIDTH = 960
"""width of the preview picture in pixels"""
SIDE, AROUND = 200, 0.25
"""size of a face crop in pixels, and its margin as a fraction of the box"""


@dataclass(frozen=True, slots=True)
class EnrollmentPreview:
    """Detections of one picture."""

    collection: str
    label: str
    digest: str
    """of the picture"""
    seen: tuple[ExtractedFace, ...]


class EnrollmentPreviews:
    """Previews that wait for a name. Use on one thread."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[float, EnrollmentPreview]] = OrderedDict()

    def keep(self, look: EnrollmentPreview) -> str:
        """Store a preview. Returns its key."""
        now, word = time.monotonic(), secrets.token_urlsafe(12)
        self._held[word] = now + HELD_SECONDS, look
        while len(self._held) > MOST_HELD or next(iter(self._held.values()))[0] < now:
            self._held.popitem(last=False)
        return word

    def get(self, word: str) -> EnrollmentPreview:
        """The preview of a key. Raises NotFoundError where it has expired."""
        until, look = self._held.get(word, (0.0, None))
        if look is None or until < time.monotonic():
            raise NotFoundError("this picture is not held any more", "take it again")
        return look


def digest_of(picture: Picture) -> str:
    """Digest that identifies a camera's picture, which has no file."""
    return hashlib.sha256(np.ascontiguousarray(picture.data).tobytes()).hexdigest()


def look(picture: Picture, digest: str, finder: FaceExtractor, collection: Collection) -> EnrollmentPreview:
    """Detect and embed the largest faces."""
    found = finder.detect(picture)[:MOST_FACES]
    return EnrollmentPreview(collection.name, finder.label, digest, tuple(finder.embed(picture, found)))


def document(look: EnrollmentPreview, picture: Picture, search: SubjectSearch, *, camera: bool) -> dict[str, Any]:
    """The page's JSON for a preview, pictures included. ``camera``: taken by a camera now, not an uploaded file."""
    width = min(WIDTH, picture.width)
    shown = pictures.resized_rgb(picture, width, max(1, round(picture.height * width / picture.width)))
    chosen = [one.detection for one in look.seen]
    good = [one.detection for one in look.seen if one.embedding is not None] or chosen
    return {
        "collection": look.collection,
        "label": look.label,
        "match_likeness": round(search.needed, 1),
        "picture": _data(pictures.encode_jpeg(shown, 80)),
        "width": picture.width,
        "height": picture.height,
        "best": chosen.index(best(good)) if good else None,
        "faces": [_face(one, look.label, picture, search, camera) for one in look.seen],
        **_why_not("" if chosen else "no_face", look.label, camera),
    }


def nearest(seen: ExtractedFace, search: SubjectSearch) -> list[Match]:
    """The nearest subjects, most similar first."""
    if seen.embedding is None:
        return []
    query: FloatArray = seen.embedding.vector[np.newaxis]
    return search.subjects(query, seen.embedding.space)[0]


def _face(seen: ExtractedFace, label: str, picture: Picture, search: SubjectSearch, camera: bool) -> dict[str, Any]:
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
        **_why_not(seen.reason, label, camera),
    }


def _why_not(reason: str, label: str, camera: bool) -> dict[str, str]:
    if not reason:
        return {"reason": ""}
    words = HINTS.get(reason, reason).format(label=label)
    return {"reason": reason, "error": words, "try": advice(reason, camera=camera)}


def _data(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


AGREE = 0.75
"""fraction of the match cosine from which two candidates may show the same subject"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One face of a preview, to be enrolled together with others."""

    key: str
    """of the preview"""
    face: int
    vector: FloatArray


def odd_ones(candidates: Sequence[Candidate], own: FloatArray, match: float) -> list[bool]:
    """Outliers among the candidates for one subject, one bool per candidate, in order.

    ``own``: (n, dimensions) embeddings that the subject already has; ``match``: cosine threshold of a match. Similar
    candidates form a group; the largest group with an own face, else the largest of all, is the subject. If no two are
    similar, all are outliers; a single candidate never is.
    """
    count = len(candidates)
    if count + len(own) < 2:
        return [False] * count
    vectors = np.concatenate([np.stack([one.vector for one in candidates]), own.reshape(len(own), -1)]) if len(own) \
        else np.stack([one.vector for one in candidates])  # fmt: skip
    alike = vectors @ vectors.T >= AGREE * match
    alike[count:, count:] = True  # own faces belong to one subject by definition
    groups = _components(alike)
    sizes = {group: int((groups[:count] == group).sum()) for group in set(groups.tolist())}
    if len(own):
        chosen = int(groups[-1])
    else:
        chosen = max(sizes, key=lambda group: sizes[group])
        if list(sizes.values()).count(sizes[chosen]) > 1:
            return [True] * count
    return [int(group) != chosen for group in groups[:count]]


def _components(alike: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The connected component of each row of a symmetric adjacency matrix."""
    groups = np.full(len(alike), -1)
    for start in range(len(alike)):
        if groups[start] >= 0:
            continue
        todo = [start]
        while todo:
            row = todo.pop()
            if groups[row] < 0:
                groups[row] = start
                todo += np.flatnonzero(alike[row] & (groups < 0)).tolist()
    return groups
