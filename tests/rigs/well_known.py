"""A state folder that knows somebody in every way there is, and what of it can be found in its files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from rigs.review_faces import BOX, CROP, SPACE, look

from edge.api.rekognition.state_store import ApiState
from edge.api.rekognition.videos.store import Job, JobStore, VideoFinding
from edge.core.settings.messaging import OutboxSettings
from edge.core.settings.schema import Settings
from edge.core.settings.services import ReviewSettings, StrangerSettings
from edge.core.settings.vision import CollectionSettings
from edge.core.storage import files
from edge.core.types import Event, Face, Identity, IdentityState
from edge.mqtt.outbox.outbox import Outbox
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.question import Nearest, ReviewQuestion
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store import segments
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.users import Users
from edge.releases.manifest import Blob, Probe, Release, Segment, ShippedCollection
from edge.releases.release_store import ReleaseStore

SUBJECT, USER, EXTERNAL, SHIPPED = "Żaneta Müller", "user-of-zaneta", "external-of-zaneta", "somebody-shipped"
ANNOY = Settings(collection=CollectionSettings(index="annoy"))
LOOKS = [look(3, number) for number in range(6)]
PROBE = b"\xff\xd8 a picture of a group \xff\xd9"
SECRETS = {
    **{text: text.encode() for text in (SUBJECT, USER, EXTERNAL, SHIPPED, "alice", "bobby")},
    "name in JSON": json.dumps(SUBJECT)[1:-1].encode(),
    "crop": CROP,
    "probe": PROBE,
    **{f"look {number}": one.tobytes() for number, one in enumerate(LOOKS)},
    **{f"look of {person}": look(person, 0).tobytes() for person in (0, 1)},
}


def build(state: Path) -> None:
    """Whoever is known: faces, a user, questions, answers, an anchor, a stranger, events, findings, a release."""
    with Collections(state, ANNOY.collection, maintain=False) as collections:
        staff = collections.create("staff")
        people = [("alice", 0), ("bobby", 1), (SUBJECT, 3)]
        new = [
            NewFace(look(person, n), name, f"{person}{n}".ljust(64, "0"), BOX)
            for name, person in people
            for n in (0, 1)
        ]
        new.append(NewFace(LOOKS[2], SUBJECT, "9" * 64, BOX, external_image_id=EXTERNAL))
        faces = staff.add(new, SPACE)
        users = Users(collections.store, "staff", staff.number)
        users.create(USER)
        users.associate(USER, [faces[-1].face_id], -1.0)
        with ReviewQueue(state, ReviewSettings(enabled=True, crops=True)) as queue:
            answers = ReviewService(queue, collections)
            for vector in LOOKS[3:]:
                near = (Nearest(SUBJECT, faces[-1].face_id, 0.5),)
                where = ("door", "1-1", "face", "staff", SPACE, BOX)
                queue.put([ReviewQuestion("uncertain", time.time(), *where, 0.9, 0.8, SUBJECT, near, vector, CROP)])
            first, second, _ = queue.doubts()
            answers.confirm(first.id)
            answers.reject(second.id)
            shelf = StrangerSettings(enabled=True)
            now = time.time()
            queue.strangers.put([Stranger(0, 7, "staff", "face", SPACE, now, now, 2, 0.8, LOOKS[5][None])], shelf)
        staff.rebuild()
    outbox = Outbox(state / "outbox.sqlite", OutboxSettings(commit_seconds=0))
    outbox.put([_event("new", "1-1", SUBJECT), _event("new", "1-2", "alice"), _event("end", "1-2", "alice")])
    outbox.close()
    api = ApiState(state)
    api.remember("CreateUser", "token", {}, {"UserId": SUBJECT})
    api.close()
    videos = JobStore(state)
    job = Job("j1", "StartFaceSearch", {"of": SUBJECT}, "SUCCEEDED")
    videos.add(job)
    videos.save(job, [VideoFinding(0, "", {"FaceMatches": [{"Face": {"UserId": SUBJECT}}]})])
    videos.close()
    _release(state)


def found(state: Path) -> dict[str, list[str]]:
    """File -> what of ``SECRETS`` is in it."""
    return dict(_found(state))


def _found(state: Path) -> Iterator[tuple[str, list[str]]]:
    for path in sorted(state.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if held := [what for what, secret in SECRETS.items() if secret in data]:
                yield str(path.relative_to(state)).removesuffix("-wal"), held


def _event(kind: str, track: str, subject: str) -> Event:
    who = Identity(IdentityState.KNOWN, subject, 0.8, 0.1, "f1", "staff")
    return Event(kind, "door", track, "face", 0.9, BOX, who, (), time.time(), time.time())  # type: ignore[arg-type]


def _release(state: Path) -> None:
    slots = ReleaseStore(state)
    slots.prepare()
    face = Face("0" * 8 + "-0000-0000-0000-" + "0" * 12, "fleet", SHIPPED, "", None, BOX, 0.9, 0.9, 1.0, "hub")
    data = segments.pack("fleet", SPACE.fingerprint, [(face, LOOKS[0])])
    blobs = {hashlib.sha256(one).hexdigest(): one for one in (data, PROBE)}
    for sha256, one in blobs.items():
        files.write_bytes(slots.blobs / sha256, one)
    first, second = blobs
    shipped = ShippedCollection("fleet", SPACE.fingerprint, 16, (Segment(first, len(data), 1),))
    slots.install(Release("r1", 1.0, collections=(shipped,), probes=(Probe(Blob(second, len(PROBE)), "d"),)))
