"""The review queue of the fleet over HTTP: one question for each face, answered once for every device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.fleet_page import served_hub
from rigs.fleet_review import ReviewFleet, review_fleet
from rigs.mosquitto import Mosquitto
from rigs.review_faces import CROP, look
from rigs.waiting import eventually

TOKENS = {"token": "o" * 24, "users": {
    "kim": {"token": "k" * 24, "role": "look"}, "lee": {"token": "l" * 24, "role": "review"},
}}  # fmt: skip
LOOK, REVIEW = ({"Authorization": f"Bearer {letter * 24}"} for letter in "kl")


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Iterator[ReviewFleet]:
    with review_fleet(tmp_path, broker.port, page=TOKENS) as fleet:
        fleet.headers = REVIEW
        yield fleet


def test_a_question_of_two_devices_is_answered_once(fleet: ReviewFleet) -> None:
    fleet.porch.enroll(alice=0)
    fleet.porch.ask(look(0, 4), "alice")
    fleet.hall.ask(look(0, 5))
    fleet.hall.ask(look(3))
    fleet.report()
    assert eventually(lambda: sorted(one["devices"] for one in fleet.questions()) == [1, 2], 30)
    (shared,) = (one for one in fleet.questions() if one["devices"] == 2)
    assert (shared["subject"], sorted(shared["camera"].split(", "))) == ("alice", ["hall · door", "porch · door"])
    state = fleet.hub.get("/page/state", **REVIEW)["review"]
    assert (state["enabled"], state["waiting"], state["newest"] >= shared["id"]) == (True, 2, True)
    for seen in shared["looks"]:
        status, headers, body = fleet.hub.ask("GET", f"/page/review/{seen['id']}/picture.jpg", **REVIEW)
        assert (status, headers["content-type"], body) == (200, "image/jpeg", CROP)
    assert fleet.hub.get("/page/collections/staff?like=AL", **REVIEW)["subjects"] == [{"subject": "alice"}]

    assert fleet.answer(shared["id"], "confirm", subject="alice")["ok"]
    assert eventually(lambda: fleet.hall.staff.subjects() == {"alice": 1}, 30)
    assert eventually(lambda: fleet.porch.staff.subjects() == {"alice": 3}, 30)
    assert len(fleet.questions()) == 1
    assert fleet.answer(shared["id"], "discard")["code"] == "gone"

    assert fleet.undo(shared["id"])["ok"]
    assert eventually(lambda: len(fleet.questions()) == 2, 30)
    assert eventually(lambda: (fleet.hall.staff.subjects(), fleet.porch.staff.subjects()) == ({}, {"alice": 2}), 30)
    assert fleet.undo(shared["id"])["code"] == "gone"


def test_an_answer_for_a_device_that_is_away_is_taken_back_at_once(fleet: ReviewFleet) -> None:
    fleet.porch.ask(look(0))
    fleet.report()
    assert eventually(lambda: len(fleet.questions()) == 1, 30)
    fleet.hub.told({"porch": {"status": {"online": False, "session": 2}}})
    (one,) = fleet.questions()
    fleet.hub.server._cache._read_at = float("-inf")  # as if some seconds had passed
    assert fleet.answer(one["id"], "discard")["ok"]
    assert fleet.questions() == []
    assert fleet.undo(one["id"])["question"]["id"] == one["id"]
    assert [each["id"] for each in fleet.questions()] == [one["id"]]


def test_a_refusal_of_a_device_is_a_question_again_with_its_reason(fleet: ReviewFleet) -> None:
    fleet.porch.enroll(alice=0, bob=1)
    fleet.porch.ask(look(1, 5, like=0, share=0.6))
    fleet.report()
    assert eventually(lambda: len(fleet.questions()) == 1, 30)
    (one,) = fleet.questions()
    assert fleet.answer(one["id"], "rename", subject="alice")["ok"]
    assert eventually(lambda: [each["id"] > one["id"] for each in fleet.questions()] == [True], 30)
    (again,) = fleet.questions()
    assert (again["refused"]["code"], again["refused"]["subject"]) == ("refused", "alice")
    assert (again["refused"]["device"], "more like bob" in again["refused"]["error"]) == ("porch", True)
    assert fleet.answer(again["id"], "rename", subject="alice", force=True)["ok"]
    assert eventually(lambda: fleet.porch.staff.subjects()["alice"] == 3, 30)


def test_what_is_answered_on_the_device_disappears(fleet: ReviewFleet) -> None:
    number = fleet.porch.ask(look(0))
    fleet.report()
    assert eventually(lambda: len(fleet.questions()) == 1, 30)
    newest = fleet.hub.get("/page/review", **REVIEW)["newest"]
    assert fleet.hub.get(f"/page/review?after={newest}", **REVIEW)["questions"] == []
    fleet.porch.queue.remove([number])
    fleet.report()
    assert eventually(lambda: fleet.questions() == [], 30)


def test_a_question_of_another_face_is_taken_out(fleet: ReviewFleet) -> None:
    fleet.porch.ask(look(0, 4))
    fleet.hall.ask(look(0, 5))
    fleet.report()
    assert eventually(lambda: [one["devices"] for one in fleet.questions()] == [2], 30)
    path = f"/page/review/{fleet.questions()[0]['looks'][0]['id']}/split"
    assert fleet.hub.post(path, **REVIEW)[0] == 200
    assert [each["devices"] for each in fleet.questions()] == [1, 1]
    assert fleet.hub.post(path, **REVIEW)[0] == 409


@pytest.mark.parametrize("subject", ["", "a/b"])
def test_an_answer_without_a_valid_name_is_refused_in_words(subject: str, tmp_path: Path) -> None:
    with served_hub(tmp_path) as hub:
        answers = [{"id": 1, "answer": "confirm", "subject": subject}]
        (outcome,) = hub.post("/page/review/answers", {"answers": answers})[1]["outcomes"]
        assert (outcome["ok"], outcome["code"], bool(outcome["error"])) == (False, "failed", True)


def test_pictures_and_questions_are_for_those_who_may_review(tmp_path: Path) -> None:
    with served_hub(tmp_path, page=TOKENS) as hub:
        for path in ("/page/review", "/page/review/1/picture.jpg", "/page/collections/staff"):
            assert hub.ask("GET", path)[0] == 401
            assert hub.ask("GET", path, **LOOK)[0] == 403
        assert hub.ask("GET", "/page/review/1/picture.jpg", **REVIEW)[0] == 204
        assert hub.get("/page/state", **REVIEW)["review"] == {"enabled": False, "waiting": 0, "newest": 0}
