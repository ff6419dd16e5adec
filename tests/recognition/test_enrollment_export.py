"""What a device gives to its hub: only what was enrolled there, only to the hub, only where its owner agreed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.core.errors import InputError, NotFoundError, TrustError
from edge.core.settings.messaging import CommandSettings
from edge.core.settings.vision import CollectionSettings
from edge.core.types import Box, Face, Space
from edge.mqtt import sealed_box as sealed
from edge.recognition.enrollment_export import LOOK, EnrollmentPage, EnrollmentRequest, give, read
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace

HUB = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = sealed.key_of(HUB, "porch")
SPACE = Space("5a" * 32, "litert", 1, 128)
CHALLENGE = "ab" * 16


@pytest.fixture
def collections(tmp_path: Path) -> Iterator[Collections]:
    with Collections(tmp_path, CollectionSettings(), maintain=False) as made:
        yield made


def enroll(collection: Collection, count: int, seed: int = 0) -> list[Face]:
    vectors = np.random.default_rng(seed).standard_normal((count, 128), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    new = [
        NewFace(
            vector,
            f"subject-{i}",
            hashlib.sha256(f"{seed}/{i}".encode()).hexdigest(),
            Box(0.1, 0.2, 0.3, 0.4),
            0.9,
            0.8,
        )
        for i, vector in enumerate(vectors)
    ]
    return collection.add(new, SPACE)


def ask(collections: Collections, after: str = "", **changes: str) -> tuple[EnrollmentRequest, dict[str, Any]]:
    wish = EnrollmentRequest("porch", "", after, CHALLENGE)
    given = {"collection": "", "after": after, "challenge": CHALLENGE} | changes
    return wish, give(given, "porch", KEY, collections, "faces")


def test_page_by_page_the_hub_gets_each_face_once_with_its_id_and_embedding(collections: Collections) -> None:
    faces = enroll(collections.create("faces"), 700)
    came: list[tuple[Face, Any]] = []
    pages, page = 0, EnrollmentPage("", [], "", "", True)
    while page.more:
        wish, answer = ask(collections, page.last)
        assert len(answer["sealed"]) < 200_000
        page = read(answer, KEY, wish)
        came += page.entries
        pages += 1
        assert (page.collection, page.space) == ("faces", SPACE.fingerprint)
    assert pages > 2
    assert [face for face, _ in came] == faces
    vectors = collections.get("faces").vectors([face.face_id for face in faces])
    assert np.array_equal(np.stack([vector for _, vector in came]), vectors)
    assert read(ask(collections, page.last)[1], KEY, EnrollmentRequest("porch", "", page.last, CHALLENGE)).entries == []


def test_faces_of_releases_and_faces_without_a_name_stay(collections: Collections) -> None:
    collection = collections.create("faces")
    own = enroll(collection, 3)
    pairs = zip(own, collection.vectors([face.face_id for face in own]), strict=True)
    away = [(replace(f, face_id=f"{i:08d}{f.face_id[8:]}", origin="hub"), v) for i, (f, v) in enumerate(pairs)]
    collection.merge(away, SPACE.fingerprint, 128)
    nameless = replace(away[0][0], face_id="f" * 8 + own[0].face_id[8:], origin="device", subject=None)
    collection.merge([(nameless, away[0][1])], SPACE.fingerprint, 128)
    wish, answer = ask(collections)
    assert [face.face_id for face, _ in read(answer, KEY, wish).entries] == [face.face_id for face in own]


def test_a_collection_of_releases_alone_is_gone_through_to_its_end(collections: Collections) -> None:
    collection = collections.create("faces")
    own = enroll(collections.create("other"), LOOK + 5)
    vectors = collections.get("other").vectors([face.face_id for face in own])
    shipped = [(replace(f, collection="faces", origin="hub"), v) for f, v in zip(own, vectors, strict=True)]
    collection.merge(shipped, SPACE.fingerprint, 128)
    wish, answer = ask(collections)
    first = read(answer, KEY, wish)
    wish, answer = ask(collections, first.last)
    second = read(answer, KEY, wish)
    assert (first.entries, first.more, second.entries, second.more) == ([], True, [], False)


def test_without_the_owner_s_key_nothing_is_given(collections: Collections) -> None:
    enroll(collections.create("faces"), 1)
    with pytest.raises(InputError, match="export of enrollments is disabled"):
        give({"challenge": CHALLENGE}, "porch", "", collections, "faces")
    assert CommandSettings().enrolments_key.get_secret_value() == ""


@pytest.mark.parametrize(
    "changed",
    [{"device": "hall"}, {"challenge": "cd" * 16}, {"collection": "staff"}, {"after": "x"}],
    ids=lambda changed: next(iter(changed)),
)
def test_an_answer_to_another_question_is_not_one(collections: Collections, changed: dict[str, str]) -> None:
    enroll(collections.create("faces"), 1)
    wish, answer = ask(collections)
    with pytest.raises(TrustError, match="not sealed with this device's key"):
        read(answer, KEY, replace(wish, **changed))


def test_nobody_without_the_hub_s_key_can_read_change_or_make_an_answer(collections: Collections) -> None:
    face = enroll(collections.create("faces"), 1)[0]
    wish, answer = ask(collections)
    assert face.subject
    assert len(face.subject) > 8  # shorter bytes occur in ciphertext by chance
    assert face.subject.encode() not in sealed.base64.b64decode(answer["sealed"])
    flipped = bytearray(sealed.base64.b64decode(answer["sealed"]))
    flipped[40] ^= 1
    forged = {"sealed": sealed.seal(sealed.key_of(HUB, "hall"), b"{}", wish.context())}
    for bad in ({"sealed": sealed.base64.b64encode(bytes(flipped)).decode()}, forged, {"sealed": "no base64"}, {}):
        with pytest.raises(TrustError):
            read(bad, KEY, wish)


@pytest.mark.parametrize(
    "page",
    [b"", b"\xff\n", b"[]\n", b"{}\n", b"[" * 100_000, b'{"collection": "faces", "last": "", "more": false}\n',
     b'{"collection": "faces", "space": "s", "dimensions": "4", "count": 1, "last": "", "more": false}\nx',
     b'{"collection": "faces", "space": "s", "dimensions": 0, "count": -1, "last": "", "more": false}\nx'],
    ids=range(8),
)  # fmt: skip
def test_a_stolen_device_that_seals_nonsense_is_found_out(page: bytes) -> None:
    wish = EnrollmentRequest("porch", "", "", CHALLENGE)
    with pytest.raises((TrustError, InputError)):
        read({"sealed": sealed.seal(KEY, page, wish.context())}, KEY, wish)


def test_keys_are_one_device_s_own_and_the_same_each_time() -> None:
    assert sealed.key_of(HUB, "porch") == KEY != sealed.key_of(HUB, "hall")
    assert CommandSettings(enrolments_key=KEY).enrolments_key.get_secret_value() == KEY  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="32 bytes"):
        CommandSettings(enrolments_key="short")  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"challenge": "short"}, {"after": 5}, {"collection": ["x"]}, {"after": "x" * 300}])
def test_a_command_that_breaks_a_rule_is_refused(collections: Collections, given: dict[str, Any]) -> None:
    collections.create("faces")
    with pytest.raises(InputError):
        give({"challenge": CHALLENGE} | given, "porch", KEY, collections, "faces")


def test_a_place_or_a_collection_that_is_not_there_is_told(collections: Collections) -> None:
    with pytest.raises(NotFoundError, match="no collection"):
        ask(collections)
    collections.create("faces")
    with pytest.raises(NotFoundError, match="has no face"):
        ask(collections, "0" * 36)
