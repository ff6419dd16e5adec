"""Looks that a person has named become faces: indexed, tied to the subject's user, and findable at once.

A program that uses the Rekognition endpoint knows people by ExternalImageId and UserId, so a new face has those of its
subject's others.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, NotFoundError, SpaceError
from edge.core.types import WHOLE, Box, Space
from edge.recognition.enrollment_check import judged
from edge.recognition.store import Collection, Collections, NewFace
from edge.recognition.store.users import Users

if TYPE_CHECKING:
    from edge.core.types import FloatArray
    from edge.recognition.review.stranger_store import Stranger

EXTERNAL = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")
"""what Rekognition allows as an ExternalImageId"""


@dataclass(frozen=True, slots=True)
class Seen:
    """An embedding of somebody, and what is known of the picture that it was made from."""

    vector: FloatArray
    box: Box = WHOLE
    score: float = 0.0
    quality: float = 0.0


def index(collections: Collections, collection: Collection, subject: str, seen: Seen, space: Space) -> str:
    """Add a face of ``subject``, tie it to the subject's user where there is one; returns its FaceId.

    Raises ConflictError where the very look is a face of somebody else already, SpaceError, StoreError.
    """
    others = collection.faces(limit=200, subject=subject)
    new = NewFace(
        seen.vector, subject, _sha256(seen.vector), seen.box, seen.score, seen.quality,
        _external(collection, subject, [face.external_image_id for face in others]),
    )  # fmt: skip
    face = collection.add([new], space)[0]
    if face.subject != subject:
        raise ConflictError(f"this very look is a face of {face.subject} already", "delete that face first")
    users = Users(collections.store, collection.name, collection.number)
    user = _user(users, subject, [face.face_id for face in others])
    if user is not None:
        # a person has said who it is, and the gate has let it pass: likeness is not asked again
        users.associate(user, [face.face_id], -1.0)
    return face.face_id


def fits(collection: Collection, space: Space, what: str, hint: str) -> None:
    """Raises SpaceError where a look from before another embedder came is to become a face."""
    if collection.count and collection.space not in (None, space.fingerprint):
        raise SpaceError(
            f"{what} seen by another embedder than the faces of {collection.name!r} are of now", hint, code="space"
        )


def name_stranger(
    collections: Collections, stranger: Stranger, subject: str, match: float, force: bool = False
) -> list[str]:
    """Make the looks of a stranger faces of ``subject``: the FaceIds of those that tell something new.

    ``match``: cosine that makes a match. Looks that would do harm are left out. Raises ConflictError where that is
    all of them, NotFoundError for a collection that is gone, SpaceError for one of another embedder.
    """
    collection = collections.get(stranger.collection)
    fits(collection, stranger.space, f"{stranger.name} was", "edge strangers forget, and name whoever comes again")
    added, refused = [], []
    for vector in stranger.looks:
        verdict = judged(collection, vector, subject, match)
        if verdict.harm and not force:
            refused.append(verdict.harm)
        elif not verdict.redundant:
            added.append(
                index(collections, collection, subject, Seen(vector, quality=stranger.quality), stranger.space)
            )
    if len(refused) == len(stranger.looks):
        raise ConflictError(f"{stranger.name}: {refused[0]}", "choose another name, or name it all the same: --force")
    return added


def _sha256(vector: FloatArray) -> str:
    """Stands for the picture of a face of which only the embedding was kept: the same for the same look."""
    return hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()


def _external(collection: Collection, subject: str, others: Sequence[str | None]) -> str | None:
    known = [one for one in others if one is not None]
    if known:
        return Counter(known).most_common(1)[0][0]
    managed = not others and any(face.external_image_id for face in collection.faces(limit=1))
    return subject if managed and EXTERNAL.fullmatch(subject) else None


def _user(users: Users, subject: str, face_ids: Sequence[str]) -> str | None:
    """Whoever has most of the subject's faces; else the user of the same name."""
    owners = Counter(users.owners(face_ids).values())
    if owners:
        return owners.most_common(1)[0][0]
    try:
        return users.get(subject).user_id
    except NotFoundError:
        return None
