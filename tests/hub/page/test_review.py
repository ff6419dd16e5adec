"""The review queue of the fleet over HTTP: one question for each face, answered once for every device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rigs.fleet_page import ServedHub, served_hub
from rigs.mosquitto import Mosquitto
from rigs.review_faces import CROP, look
from rigs.sharing_device import SharingDevice, sharing_device, write_key
from rigs.waiting import eventually

TOKENS = {"token": "o" * 24, "users": {
    "kim": {"token": "k" * 24, "role": "look"}, "lee": {"token": "l" * 24, "role": "review"},
}}  # fmt: skip
LOOK, REVIEW = ({"Authorization": f"Bearer {letter * 24}"} for letter in "kl")


@dataclass
class Fleet:
    hub: ServedHub
    porch: SharingDevice
    hall: SharingDevice

    def report(self, **counts: dict[str, int]) -> None:
        """The devices report; by default what their queues have."""
        for one in (self.porch, self.hall):
            stats = {"review": counts.get(one.name, one.shared.counts())}
            self.hub.told({one.name: {"status": {"online": True, "session": 1}, "stats": stats}})

    def questions(self) -> list[dict[str, Any]]:
        said = self.hub.get("/page/review", **REVIEW)
        return [dict(zip(said["columns"], row, strict=True)) for row in said["questions"]]

    def answer(self, face: int, answer: str, **more: Any) -> tuple[int, dict[str, Any]]:
        return self.hub.post("/page/review/answers", {"answers": [{"face": face, "answer": answer, **more}]}, **REVIEW)


@pytest.fixture
def fleet(tmp_path: Path, broker: Mosquitto) -> Iterator[Fleet]:
    with ExitStack() as stack:
        devices = [stack.enter_context(sharing_device(tmp_path, name, broker.port)) for name in ("porch", "hall")]
        where = {"repository": tmp_path / "hub", "page_port": 0, "key": write_key(tmp_path)}
        mqtt = {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 0.3}
        yield Fleet(stack.enter_context(served_hub(tmp_path, page=TOKENS, hub=where, mqtt=mqtt)), *devices)


Questions = Callable[[], list[dict[str, Any]]]


def test_a_question_of_two_devices_is_answered_once(fleet: Fleet) -> None:
    fleet.porch.enroll(alice=0)
    fleet.porch.ask(look(0, 4), "alice")
    fleet.hall.ask(look(0, 5))
    fleet.hall.ask(look(3))
    fleet.report()
    assert eventually(lambda: len(fleet.questions()) == 2, 30)
    shared = next(one for one in fleet.questions() if one["devices"] == 2)
    assert (shared["subject"], shared["looks"], shared["refused"]) == ("alice", 2, False)
    one = fleet.hub.get(f"/page/review/{shared['face']}", **REVIEW)
    assert {each["device"] for each in one["looks"]} == {"porch", "hall"}
    status, headers, body = fleet.hub.ask("GET", f"/page/review/looks/{one['looks'][0]['number']}.jpg", **REVIEW)
    assert (status, headers["content-type"], body) == (200, "image/jpeg", CROP)
    assert fleet.hub.get("/page/review/names?like=AL", **REVIEW)["subjects"] == [{"subject": "alice"}]

    status, said = fleet.answer(shared["face"], "name", subject="alice")
    assert (status, said["outcomes"][0]["ok"], len(said["outcomes"][0]["questions"])) == (200, True, 2)
    assert eventually(lambda: fleet.hall.staff.subjects() == {"alice": 1}, 30)
    assert eventually(lambda: fleet.porch.staff.subjects() == {"alice": 3}, 30)
    assert len(fleet.questions()) == 1
    assert fleet.answer(shared["face"], "discard")[1]["outcomes"][0]["code"] == "gone"

    assert fleet.hub.post("/page/review/undo", {"questions": said["outcomes"][0]["questions"]}, **REVIEW)[0] == 200
    assert eventually(lambda: len(fleet.questions()) == 2, 30)
    assert eventually(lambda: (fleet.hall.staff.subjects(), fleet.porch.staff.subjects()) == ({}, {"alice": 2}), 30)


def test_what_is_answered_on_the_device_disappears_and_an_unchanged_list_is_empty(fleet: Fleet) -> None:
    number = fleet.porch.ask(look(0))
    fleet.report()
    assert eventually(lambda: len(fleet.questions()) == 1, 30)
    revision = fleet.hub.get("/page/review", **REVIEW)["revision"]
    again = fleet.hub.get(f"/page/review?revision={revision}", **REVIEW)
    assert (again["changed"], again["questions"]) == (False, [])
    fleet.porch.queue.remove([number])
    fleet.report()
    assert eventually(lambda: fleet.questions() == [], 30)


def test_a_question_of_another_face_is_taken_out(fleet: Fleet) -> None:
    fleet.porch.ask(look(0, 4))
    fleet.hall.ask(look(0, 5))
    fleet.report()
    assert eventually(lambda: [one["devices"] for one in fleet.questions()] == [2], 30)
    (one,) = fleet.questions()
    asked = fleet.hub.get(f"/page/review/{one['face']}", **REVIEW)["looks"][0]
    path, question = f"/page/review/{one['face']}/split", [asked["device"], asked["question"]]
    assert fleet.hub.post(path, {"question": question}, **REVIEW)[0] == 200
    assert [each["devices"] for each in fleet.questions()] == [1, 1]
    assert fleet.hub.post(path, {"question": ["porch"]}, **REVIEW)[0] == 404


@pytest.mark.parametrize(
    "answer",
    [{"face": 1, "answer": "undo"}, {"face": 1, "answer": "name"}, {"face": 1, "answer": "discard", "subject": "bob"},
     {"face": "1", "answer": "discard"}, {"face": 1, "answer": "name", "subject": "a/b"}, {}],
)  # fmt: skip
def test_an_invalid_answer_is_refused_in_words(answer: dict[str, Any], tmp_path: Path) -> None:
    with served_hub(tmp_path) as hub:
        status, said = hub.post("/page/review/answers", {"answers": [answer]})
        assert (status, bool(said["error"]), bool(said["try"])) == (400, True, True)


def test_pictures_and_questions_are_for_those_who_may_review(tmp_path: Path) -> None:
    with served_hub(tmp_path, page=TOKENS) as hub:
        for path in ("/page/review", "/page/review/1", "/page/review/looks/1.jpg", "/page/review/names"):
            assert hub.ask("GET", path)[0] == 401
            assert hub.ask("GET", path, **LOOK)[0] == 403
        assert hub.ask("GET", "/page/review/looks/1.jpg", **REVIEW)[0] == 204
        assert hub.ask("GET", "/page/review/1", **REVIEW)[0] == 404
        assert "hub.key" in hub.get("/page/review", **REVIEW)["try"]
