"""Enrolled subjects over a real connection: their faces, names and likeness; strangers that get a name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from rigs.page import PEOPLE, Served, enrolled, served
from rigs.review_faces import BOX, SPACE, look

from edge.core.settings.services import HistorySettings, ReviewSettings, StrangerSettings
from edge.pipeline.history import Appearance, HistoryStore
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store.face_rows import NewFace

FACES = "/page/people/faces"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    store = HistoryStore(tmp_path, HistorySettings())
    store.put([Appearance("1-1", "door", "face", 1e9, 1e9 + 5, "known", "alice", 97.0, boot="b")])
    store.close()
    with served(tmp_path, review={"enabled": True}) as made:
        enrolled(made.collections)
        yield made


def subjects(page: Served) -> dict[str, int]:
    return page.collections.get("faces").subjects()


def test_subjects_come_with_faces_and_when_they_were_last_seen(page: Served) -> None:
    said = page.get(FACES)
    assert [one["subject"] for one in said["subjects"]] == list(PEOPLE)
    assert (said["subjects"][0]["faces"], said["subjects"][0]["seen"], said["subjects"][0]["camera"]) == (
        2,
        1e9,
        "door",
    )
    assert page.get(f"{FACES}?like=AR")["total"] == 1


def test_a_thousand_subjects_come_in_parts_and_are_searched(tmp_path: Path) -> None:
    with served(tmp_path) as page:
        chance = np.random.default_rng(1)
        vectors = chance.normal(size=(1000, 16)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        faces = [NewFace(vector, f"subject {n:04}", f"{n:064x}", BOX) for n, vector in enumerate(vectors)]
        page.collections.get_or_create("faces").add(faces, SPACE)
        first = page.get(FACES)
        rest = page.get(f"{FACES}?after=60")
        assert (first["total"], first["more"], len(first["subjects"])) == (1000, True, 60)
        assert rest["subjects"][0]["subject"] == "subject 0060"
        assert [one["subject"] for one in page.get(f"{FACES}?like=0999")["subjects"]] == ["subject 0999"]


def test_the_risk_of_a_collection_is_told_in_words_and_follows_its_changes(page: Served) -> None:
    told = page.get(f"{FACES}/risk")
    assert told["subjects"] == len(PEOPLE)
    assert told["words"].startswith("a stranger is named about once in ")
    twin = [NewFace(look(0, 3), "twin of alice", "e" * 64, BOX)]
    page.collections.get("faces").add(twin, SPACE)
    after = page.get(f"{FACES}/risk")
    assert after["subjects"] == len(PEOPLE) + 1
    assert {"alice", "twin of alice"} in [{pair["subject"], pair["other"]} for pair in after["confusable"]]
    assert "confusable: alice and twin of alice" in after["words"]
    assert page.status("/page/people/nothing/risk") == 404


def test_one_subject_tells_its_faces_and_who_is_alike(page: Served) -> None:
    page.collections.get("faces").rename_subject("dave", "dave")
    one = page.get(f"{FACES}/subject?name=alice")
    assert len(one["faces"]) == 2
    assert one["rivals"] == [], "no other made-up person resembles alice"
    assert 0 < one["false_names"] < 1
    assert one["erasable"] is False
    assert page.status(f"{FACES}/subject?name=nobody") == 404


def test_a_face_is_deleted_and_only_the_subjects_own(page: Served) -> None:
    own = page.get(f"{FACES}/subject?name=alice")["faces"][0]["face_id"]
    assert page.post(f"{FACES}/delete-face", {"subject": "bob", "face_id": own})[0] == 404
    assert page.post(f"{FACES}/delete-face", {"subject": "alice", "face_id": own})[0] == 200
    assert subjects(page)["alice"] == 1


def test_of_two_browsers_that_change_the_same_the_second_is_told(page: Served) -> None:
    face = page.get(f"{FACES}/subject?name=alice")["faces"][0]["face_id"]
    twice = [
        ("people/faces/delete-face", {"subject": "alice", "face_id": face}, "it was deleted already"),
        ("people/faces/rename", {"subject": "bob", "to": "eve"}, "it was renamed, or erased"),
        ("history/1/delete", {}, "it was deleted, or has expired"),
    ]
    for path, values, told in twice:
        assert page.post(f"/page/{path}", values)[0] == 200
        status, said = page.post(f"/page/{path}", values)
        assert (status, said["try"]) == (404, told)


def test_a_subject_is_renamed_in_the_collection_and_in_the_past(page: Served) -> None:
    before = page.collections.get("faces").vectors(
        [face.face_id for face in page.collections.get("faces").faces(subject="alice")]
    )
    assert page.post(f"{FACES}/rename", {"subject": "alice", "to": "Alice Doe"}) == (
        200, {"ok": True, "subject": "Alice Doe"},
    )  # fmt: skip
    assert subjects(page) == {"Alice Doe": 2, "bob": 2, "carol": 2, "dave": 2}
    after = page.collections.get("faces").faces(subject="Alice Doe")
    assert np.allclose(page.collections.get("faces").vectors([face.face_id for face in after]), before)
    assert page.get("/page/history?subject=Alice%20Doe")["appearances"][0]["subject"] == "Alice Doe"
    assert page.get("/page/history/changes")["changes"][0]["what"] == "rename"
    for wrong in ("", "../x", "\u202eecila", "a" * 300):
        assert page.post(f"{FACES}/rename", {"subject": "bob", "to": wrong})[0] == 400, wrong


ALPHABETS = ("Zoë Ångström", "Ελένη", "Дмитрий", "عائشة", "שרה", "नेहा", "สมชาย", "이영희", "山田 花子", "Łukasz 🦊")


@pytest.mark.parametrize("name", ALPHABETS)
def test_names_of_every_alphabet_are_shown_and_searched(page: Served, name: str) -> None:
    assert page.post(f"{FACES}/rename", {"subject": "alice", "to": name})[0] == 200
    for like in (name[:4], name[-3:].upper()):
        found = page.get(f"{FACES}?like={quote(like)}")["subjects"]
        assert [one["subject"] for one in found] == [name], like
    assert page.get(f"/page/history?text={quote(name[1:3])}")["appearances"][0]["subject"] == name
    assert page.get(f"{FACES}/subject?name={quote(name)}")["subject"] == name


def test_two_subjects_are_merged_only_when_that_is_said(page: Served) -> None:
    status, said = page.post(f"{FACES}/rename", {"subject": "alice", "to": "bob"})
    assert (status, said["error"]) == (409, "bob is enrolled already")
    assert page.post(f"{FACES}/rename", {"subject": "alice", "to": "bob", "merge": True})[0] == 200
    assert subjects(page) == {"bob": 4, "carol": 2, "dave": 2}


def test_a_subject_is_erased_by_the_daemon(page: Served) -> None:
    assert page.post(f"{FACES}/erase", {"subject": "alice"})[0] == 409
    erased: list[str] = []
    page.page.begin(lambda: None, tuple, lambda _: None, str, None, erased.append)  # type: ignore[arg-type,return-value]
    assert page.post(f"{FACES}/erase", {"subject": "alice"})[0] == 200
    assert erased == ["alice"]
    assert page.get("/page/history/changes")["changes"][0] == page.get("/page/history/changes")["changes"][0] | {
        "what": "erase", "subject": None,
    }  # fmt: skip


def test_rubbish_changes_nothing(page: Served) -> None:
    for action, body in (("fly", {}), ("rename", {}), ("rename", {"subject": "alice"}), ("erase", {"subject": 7})):
        assert page.post(f"{FACES}/{action}", body)[0] in (400, 404)
    assert page.post("/page/people/nothing/rename", {"subject": "a", "to": "b"})[0] == 404
    assert page.ask("POST", f"{FACES}/rename", b"[", X_Edge_Page="1")[0] == 400
    assert subjects(page) == dict.fromkeys(PEOPLE, 2)


def test_a_stranger_gets_a_name_and_so_do_its_appearances(page: Served, tmp_path: Path) -> None:
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        looks = np.stack([look(5, 0), look(5, 3)])
        queue.strangers.put(
            [Stranger(0, 7, "faces", "face", SPACE, 1e9, 1e9 + 60, 3, 0.8, looks)], StrangerSettings(days=3650)
        )
    store = HistoryStore(tmp_path, HistorySettings())
    store.put([Appearance("1-9", "door", "face", 1e9, None, "unknown", "unknown-7", 40.0, boot="b")])
    store.close()
    (one,) = page.get("/page/strangers")["strangers"]
    assert (one["name"], one["times"]) == ("unknown-7", 3)
    status, said = page.post(f"/page/strangers/{quote('unknown-7')}", {"subject": "erin"})
    assert (status, said["subject"]) == (200, "erin")
    assert subjects(page)["erin"] >= 1
    assert page.get("/page/strangers")["strangers"] == []
    (seen,) = page.get("/page/history?subject=erin")["appearances"]
    assert seen["state"] == "known"
