"""The review queue over a real connection: the same questions, answers and gate as on the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rigs.page import MARK, PEOPLE, Served, asked, crop_of, enrolled, served
from rigs.review_faces import look

from edge.api.web.review_routes import MOST_ANSWERS, WORK
from edge.core.settings.services import ReviewSettings
from edge.recognition.review.question import Nearest
from edge.recognition.review.queue import ReviewQueue

ON = {"enabled": True, "crops": True, "most": 100_000}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    """Four people, and eight questions that are right to confirm."""
    with served(tmp_path, review=ON) as served_page:
        enrolled(served_page.collections)
        asked(tmp_path, 8)
        yield served_page


def answer(page: Served, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    status, said = page.post("/page/review/answers", {"answers": list(answers)})
    assert status == 200
    found: list[dict[str, Any]] = said["outcomes"]
    return found


def questions(page: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.get("/page/review")["questions"]
    return found


def test_a_question_says_who_where_why_and_who_is_near(page: Served) -> None:
    first = questions(page)[0]
    assert (first["id"], first["subject"], first["camera"], first["picture"]) == (1, "alice", "door", True)
    assert {near["subject"] for near in first["nearest"]} == set(PEOPLE)
    assert first["nearest"][0]["subject"] == "alice"
    assert "vector" not in first
    assert first["named"] == "alice"
    assert [one["likeness"] for one in first["nearest"]] == sorted(
        (n["likeness"] for n in first["nearest"]), reverse=True
    )
    assert 0 < first["match_likeness"] <= 100


def test_a_question_of_custom_labels_is_about_what_is_seen(page: Served, tmp_path: Path) -> None:
    nearest = (Nearest("helmet", "", 0.52), Nearest("cap", "", 0.4))
    asked(tmp_path, 2, version="helmets/3", reason="threshold", subject="helmet", collection="", nearest=nearest)
    one = questions(page)[-1]
    assert (one["subject"], one["version"]) == ("helmet", "helmets/3")
    assert (one["match_likeness"], one["choices"]) == (None, [])
    said = answer(page, {"id": 9, "answer": "rename", "subject": "cap"}, {"id": 10, "answer": "reject"})
    assert [each["ok"] for each in said] == [True, True]
    assert page.post("/page/review/undo", {"ids": [9]})[1]["outcomes"][0]["question"]["version"] == "helmets/3"


def test_what_is_confirmed_is_a_face_at_once_and_has_its_picture(page: Served) -> None:
    (said,) = answer(page, {"id": 1, "answer": "confirm"})
    assert said == {"id": 1, "ok": True, "answer": "confirm", "subject": "alice"}
    assert page.collections.get("faces").subjects()["alice"] == 3
    near = next(one for one in questions(page)[0]["nearest"] if one["subject"] == "alice")
    assert near["same_face"] is True, "the nearest face is looked up anew: it is the one that was just added"
    status, headers, body = page.ask("GET", f"/page/portraits/{near['picture']}.jpg")
    assert (status, body) == (200, crop_of(0))
    assert headers["cache-control"] == "no-store"


def test_several_answers_in_one_request_are_each_told_by_itself(page: Served) -> None:
    said = answer(
        page,
        {"id": 1, "answer": "confirm"},
        {"id": 2, "answer": "rename", "subject": "bob"},
        {"id": 3, "answer": "rename", "subject": "nobody"},
        {"id": 4, "answer": "reject"},
        {"id": 5, "answer": "discard"},
        {"id": 6, "answer": "rename", "subject": "alice"},
        {"id": 1, "answer": "confirm"},
        {"id": 7, "answer": "new", "subject": "../x"},
    )
    assert [one["ok"] for one in said] == [True, True, False, True, True, False, False, False]
    assert [one.get("code") for one in said] == [None, None, "failed", None, None, "refused", "gone", "failed"]
    assert "nothing like alice" in said[5]["error"], "the gate's own reason"
    assert [one["id"] for one in questions(page)] == [3, 6, 7, 8], "what was not applied waits"


def test_a_refused_answer_is_applied_where_somebody_insists(page: Served) -> None:
    wrong = {"id": 6, "answer": "rename", "subject": "alice"}
    assert answer(page, wrong)[0]["code"] == "refused"
    assert answer(page, {**wrong, "force": True})[0]["ok"]
    assert page.collections.get("faces").subjects()["alice"] == 3


def test_answers_are_taken_back_in_any_order(page: Served, tmp_path: Path) -> None:
    before = questions(page)
    answer(page, {"id": 1, "answer": "confirm"}, {"id": 2, "answer": "reject"}, {"id": 3, "answer": "discard"})
    assert page.get("/page/review")["undoable"] == [1, 2, 3]
    status, said = page.post("/page/review/undo", {"ids": [1, 2, 3, 99]})
    assert status == 200
    assert [one["ok"] for one in said["outcomes"]] == [True, True, True, False]
    assert [one["question"]["id"] for one in said["outcomes"][:3]] == [1, 2, 3]
    assert questions(page) == before
    assert questions(page) == before
    assert page.collections.get("faces").subjects()["alice"] == 2


def one_face(folder: Path, count: int, person: int, first: int = 0, **more: Any) -> None:
    """``count`` looks at one face, as the device samples them."""
    for number in range(first, first + count):
        values: dict[str, Any] = {"match": 0.46, "subject": None, "reason": "unmatched", "nearest": (), **more}
        asked(folder, 1, vector=look(person, number), quality=0.5 + number / 100, **values)


def test_looks_of_one_face_are_one_question_and_one_answer(page: Served, tmp_path: Path) -> None:
    one_face(tmp_path, 9, person=5)
    question = questions(page)[-1]
    assert page.get("/page/state")["review"]["waiting"] == 9, "eight others, and one"
    assert len(question["looks"]) == 6, "of nine looks the best are kept"
    assert [one["quality"] for one in question["looks"]] == [0.58, 0.57, 0.56, 0.55, 0.54, 0.53]
    assert question["subject"] is None
    assert answer(page, {"id": question["id"], "answer": "new", "subject": "erin"})[0]["ok"]
    assert page.collections.get("faces").subjects()["erin"] > 1, "its looks became faces"
    assert len(questions(page)) == 8
    page.post("/page/review/undo", {"ids": [question["id"]]})
    assert questions(page)[-1] == question
    assert "erin" not in page.collections.get("faces").subjects()


def test_a_look_of_another_face_is_taken_out_of_a_question(page: Served, tmp_path: Path) -> None:
    one_face(tmp_path, 3, person=5)
    question = questions(page)[-1]
    first = min(one["id"] for one in question["looks"])
    assert page.post(f"/page/review/{first}/split")[1] == {"ok": True}
    sizes = [len(one["looks"]) for one in questions(page)[8:]]
    assert sorted(sizes) == [1, 2]
    assert page.post("/page/review/999/split")[1]["ok"] is False


def test_a_stranger_is_asked_about_without_a_name_and_a_match_by_name(page: Served, tmp_path: Path) -> None:
    one_face(tmp_path, 1, person=5)
    one_face(tmp_path, 1, person=0, first=3)
    stranger, alice = questions(page)[8:]
    assert (stranger["subject"], alice["subject"]) == (None, "alice")
    assert all(one["likeness"] < stranger["match_likeness"] for one in stranger["nearest"])
    said = answer(page, {"id": stranger["id"], "answer": "confirm"})
    assert (said[0]["ok"], said[0]["code"]) == (False, "failed"), "there is nothing to confirm"


def test_a_question_goes_by_itself_when_another_answer_made_its_face_known(page: Served, tmp_path: Path) -> None:
    one_face(tmp_path, 2, person=5)
    with ReviewQueue(tmp_path, ReviewSettings(enabled=True)) as queue:
        queue.split(queue.doubts(after=9)[-1].id)
    nine, ten = questions(page)[8:]
    assert answer(page, {"id": nine["id"], "answer": "new", "subject": "erin"})[0]["ok"]
    assert len(questions(page)) == 8, "the other one shows erin, who is known now"
    page.post("/page/review/undo", {"ids": [nine["id"]]})
    assert [one["id"] for one in questions(page)[8:]] == [nine["id"], ten["id"]]


def test_questions_are_shown_while_nobody_is_enrolled(tmp_path: Path) -> None:
    one_face(tmp_path, 2, person=5)
    with served(tmp_path, review=ON) as page:
        page.collections.get_or_create("faces")
        (question,) = questions(page)
        assert (question["subject"], question["nearest"]) == (None, [])


def test_an_ignored_face_is_not_asked_about_again(page: Served, tmp_path: Path) -> None:
    one_face(tmp_path, 2, person=5)
    number = questions(page)[-1]["id"]
    answer(page, {"id": number, "answer": "discard"})
    one_face(tmp_path, 3, person=5, first=4)
    assert len(questions(page)) == 8
    page.post("/page/review/undo", {"ids": [number]})
    one_face(tmp_path, 1, person=5, first=7)
    assert len(questions(page)[-1]["looks"]) == 3


def test_a_refusal_tells_the_likeness_of_a_new_name_without_sentinels(page: Served) -> None:
    (said,) = answer(page, {"id": 1, "answer": "new", "subject": "zoe"})
    assert said["code"] == "refused"
    assert re.fullmatch(r"it looks like alice, who is enrolled already \(\d{2,3} of 100\)", said["error"])


def test_the_crop_of_a_question_is_never_kept_by_a_browser(page: Served) -> None:
    status, headers, body = page.ask("GET", "/page/review/3/picture.jpg")
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "image/jpeg", "no-store")
    assert body == crop_of(2)
    for gone in ("/page/review/99/picture.jpg", f"/page/review/{10**30}/picture.jpg", "/page/portraits/7.jpg"):
        assert page.status(gone) == 204


def test_deleting_the_queue_leaves_no_picture_of_it(page: Served, tmp_path: Path) -> None:
    answer(page, {"id": 1, "answer": "confirm"})
    assert page.post("/page/review/delete", {}) == (200, {"deleted": 7})
    assert page.get("/page/state")["review"]["waiting"] == 0
    assert page.status("/page/portraits/1.jpg") == 200, "answers were not meant"
    assert page.post("/page/review/delete", {"answered": True}) == (200, {"deleted": 1})
    assert page.status("/page/portraits/1.jpg") == 204
    left = b"".join(file.read_bytes() for file in tmp_path.glob("review.sqlite*"))
    assert not any(crop_of(number) in left for number in range(8))
    assert page.collections.get("faces").subjects()["alice"] == 3


def test_a_long_queue_comes_in_parts(tmp_path: Path) -> None:
    with served(tmp_path, review=ON) as page:
        asked(tmp_path, 501)
        first = page.get("/page/review")
        rest = page.get(f"/page/review?after={first['questions'][-1]['id']}")
    assert (len(first["questions"]), first["more"]) == (500, True)
    assert ([one["id"] for one in rest["questions"]], rest["more"]) == ([501], False)


def test_without_a_queue_nothing_is_made_and_nothing_fails(tmp_path: Path) -> None:
    with served(tmp_path) as page:
        assert page.get("/page/state")["review"]["enabled"] is False
        assert page.get("/page/review")["questions"] == []
        assert page.status("/page/review/1/picture.jpg") == 204
        assert answer(page, {"id": 1, "answer": "confirm"})[0]["code"] == "gone"
        assert page.post("/page/review/delete", {}) == (200, {"deleted": 0})
        assert not list(tmp_path.glob("review.sqlite*"))


def test_questions_from_before_review_was_switched_off_can_still_be_answered(tmp_path: Path) -> None:
    asked(tmp_path, 2)
    with served(tmp_path) as page:
        enrolled(page.collections)
        assert page.get("/page/state")["review"] | {"enabled": False, "waiting": 2} == page.get("/page/state")["review"]
        assert answer(page, {"id": 1, "answer": "confirm"})[0]["ok"]


def test_a_face_that_another_program_answered_about_is_told_as_gone(page: Served, tmp_path: Path) -> None:
    with ReviewQueue(tmp_path, ReviewSettings()) as queue:
        queue.answer(queue.get(1), "discarded", None)
    (said,) = answer(page, {"id": 1, "answer": "confirm"})
    assert (said["ok"], said["code"]) == (False, "gone")


BAD = [
    b"", b"[]", b"{", b"null", b'{"answers": []}', b'{"answers": {}}', b'{"answers": [7]}',
    b'{"answers": [{"id": 1}]}', b'{"answers": [{"id": true, "answer": "confirm"}]}',
    b'{"answers": [{"id": -1, "answer": "confirm"}]}', b'{"answers": [{"id": 1e3, "answer": "confirm"}]}',
    b'{"answers": [{"id": 99999999999999999999, "answer": "confirm"}]}', b'{"answers": [{"id": 1, "answer": "drop"}]}',
    b'{"answers": [{"id": 1, "answer": ["confirm"]}]}', b'{"answers": [{"id": 1, "answer": "rename"}]}',
    b'{"answers": [{"id": 1, "answer": "discard", "subject": "alice"}]}',
    b'{"answers": [{"id": 1, "answer": "new", "subject": 7}]}', b"[" * 100_000, b" " * 300_000,
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_rubbish_is_refused_whole_and_nothing_is_lost(page: Served, body: bytes) -> None:
    status, _, said = page.ask("POST", "/page/review/answers", body, **MARK)
    assert status == 400
    assert json.loads(said)["error"]
    assert len(questions(page)) == 8


def test_no_more_answers_than_others_can_wait_for(page: Served) -> None:
    rows = [{"id": 1, "answer": "discard"}] * (MOST_ANSWERS + 1)
    assert page.post("/page/review/answers", {"answers": rows})[0] == 400
    assert page.post("/page/review/undo", {"ids": [1] * (MOST_ANSWERS + 1)})[0] == 400
    assert page.post("/page/review/undo", {"ids": ["1"]})[0] == 400


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.fixed_dictionaries({}, optional={
    "id": st.integers(-2, 12) | VALUES, "answer": st.sampled_from([*WORK]) | VALUES,
    "subject": st.sampled_from(["alice", "eve", "<b>", "a/b", "\u202e", ""]) | VALUES, "force": VALUES,
})  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, max_size=4) | VALUES)
def test_whatever_comes_is_answered_with_a_document(page: Served, rows: object) -> None:
    status, said = page.post("/page/review/answers", {"answers": rows})
    assert (status == 200 and len(said["outcomes"]) == len(rows)) or (status == 400 and said["error"])  # type: ignore[arg-type]


def test_names_are_looked_up_as_they_are_typed(tmp_path: Path) -> None:
    people = tuple(f"person {number}" for number in range(8))
    with served(tmp_path) as page:
        enrolled(page.collections, people)
        assert page.get("/page/collections/faces?like=SON%207") == {
            "subjects": [{"subject": "person 7", "faces": 2}], "total": 1,
        }  # fmt: skip
        assert page.get("/page/collections/faces")["total"] == 8


def test_the_looks_of_the_rig_are_what_the_tests_take_them_for() -> None:
    assert float(look(0, 2) @ look(0, 1)) > 0.7 > 0.3 > float(look(0, 2) @ look(1, 1))
