"""The hub's copies of review questions: by face over all devices, bounded, and without erased subjects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rigs.review_faces import CROP, SPACE, look

from edge.core.errors import ConflictError, NotFoundError
from edge.core.settings.messaging import HubSettings
from edge.hub.review.questions import grouped
from edge.hub.review.store import FILE, FleetQuestions
from edge.mqtt.erasure_notices import digest
from edge.recognition.review.queue import PendingLook
from edge.recognition.review.sharing import AnswerOutcome, ReceivedLook, SharedLook, SharedSubject

NOW = time.time()


def a_look(number: int, person: int, variant: int = 0, question: int = 0, **changes: Any) -> ReceivedLook:
    values: dict[str, Any] = {
        "id": number, "group": question or number, "time": NOW + number, "reason": "uncertain", "camera": "door",
        "label": "face", "collection": "staff", "version": "", "space": SPACE.fingerprint, "subject": "alice",
        "pseudonym": "", "quality": 0.8, "match": 0.7, "needed": 80.0,
        "nearest": (SharedSubject("alice", 90.0), SharedSubject("bob", 40.0)), "choices": (), "dimensions": 16,
        "crop": len(CROP),
    }  # fmt: skip
    return ReceivedLook(SharedLook(**values | changes), look(person, variant), CROP)


def pending(*looks: ReceivedLook) -> list[PendingLook]:
    return [PendingLook(one.look.id, one.look.group, one.look.time) for one in looks]


Opened = Callable[..., FleetQuestions]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made: list[FleetQuestions] = []

    def opening(**hub: Any) -> FleetQuestions:
        made.append(FleetQuestions(tmp_path, HubSettings.model_validate(hub)))
        return made[-1]

    yield opening
    for one in made:
        one.close()


@pytest.fixture
def store(opened: Opened) -> FleetQuestions:
    return opened()


def settled(store: FleetQuestions, device: str, code: str, error: str = "", hint: str = "") -> None:
    """The device confirms or refuses what it is sent."""
    store.settle(device, [(n, one, AnswerOutcome(one.id, code, error, hint)) for n, one in store.outgoing(device, 10)])


def faces(store: FleetQuestions) -> list[list[tuple[str, int]]]:
    """Device and id of the looks of each question."""
    found = grouped(store.looks(), store.answers()).values()
    return [sorted((each.device, each.look.id) for each in one.looks) for one in found]


def test_one_face_on_many_devices_is_one_question(store: FleetQuestions) -> None:
    store.take("porch", [a_look(1, 0), a_look(2, 1)])
    store.take("hall", [a_look(1, 0, 1), a_look(2, 2)])
    store.take("gate", [a_look(7, 3, match=0.0), a_look(8, 3, match=0.0), a_look(9, 0, 2, label="head")])
    assert faces(store) == [
        [("hall", 1), ("porch", 1)], [("porch", 2)], [("hall", 2)], [("gate", 7)], [("gate", 8)], [("gate", 9)],
    ]  # fmt: skip


def test_looks_of_one_question_stay_together_and_a_split_on_the_device_is_followed(store: FleetQuestions) -> None:
    store.take("porch", [a_look(n, 0, n, question=1) for n in (1, 2, 3)])
    assert faces(store) == [[("porch", 1), ("porch", 2), ("porch", 3)]]
    split = [a_look(1, 0, 1), a_look(2, 0, 2, question=2), a_look(3, 0, 3, question=2)]
    assert store.missing("porch", pending(*split)) == []
    assert faces(store) == [[("porch", 1)], [("porch", 2), ("porch", 3)]]


def test_what_is_no_longer_pending_on_a_device_goes_and_what_is_missing_is_named(store: FleetQuestions) -> None:
    one, two, three = a_look(1, 0), a_look(2, 1), a_look(3, 2)
    store.take("porch", [one, two])
    store.take("hall", [one])
    assert store.missing("porch", pending(two, three)) == [3]
    assert faces(store) == [[("hall", 1)], [("porch", 2)]]
    # the device's state folder was replaced: the same id is another question
    assert store.missing("porch", [PendingLook(2, 2, NOW + 77)]) == [2]
    assert faces(store) == [[("hall", 1)]]


def test_an_answer_is_one_for_every_device_and_waits_for_each(store: FleetQuestions) -> None:
    store.take("porch", [a_look(1, 0)])
    store.take("hall", [a_look(5, 0, 1)])
    (face,) = grouped(store.looks(), [])
    assert sorted(store.answer(face, "name", "alice", who="kim (review)")) == [("hall", 5), ("porch", 1)]
    assert faces(store) == []
    with pytest.raises(NotFoundError):
        store.answer(face, "discard")
    ((question, sent),) = store.outgoing("hall", 10)
    assert (question, sent.id, sent.time, sent.answer, sent.subject) == (5, 5, NOW + 5, "name", "alice")
    settled(store, "porch", "ok")
    settled(store, "hall", "refused", "it is more like bob", "force it")
    (left,) = grouped(store.looks(), store.answers()).values()
    assert [(one.device, one.code, one.error) for one in left.refused] == [("hall", "refused", "it is more like bob")]
    store.answer(left.face, "name", "alice", force=True)
    assert [one.force for _, one in store.outgoing("hall", 10)] == [True]
    assert store.outgoing("porch", 10) == []


def test_an_answer_to_a_question_that_the_device_has_answered_is_dropped(store: FleetQuestions) -> None:
    store.take("porch", [a_look(1, 0)])
    store.answer(1, "discard")
    store.missing("porch", [])
    assert (store.outgoing("porch", 10), store.answers(), store.devices()) == ([], [], set())


def test_an_answer_is_taken_back_here_or_on_the_device(store: FleetQuestions) -> None:
    store.take("porch", [a_look(1, 0)])
    (question,) = store.answer(1, "discard")
    store.undo([question])
    assert faces(store) == [[("porch", 1)]]
    store.answer(1, "discard")
    settled(store, "porch", "ok")
    store.undo([question])
    store.missing("porch", [])
    ((number, sent),) = store.outgoing("porch", 10)
    assert (number, sent.answer, sent.id) == (1, "undo", 1)
    settled(store, "porch", "ok")
    assert store.missing("porch", pending(a_look(1, 0))) == [1], "it comes back with the next page"


@pytest.mark.parametrize("code", ["ok", "refused"])
def test_an_answer_that_is_taken_back_on_its_way_is_undone_on_the_device(store: FleetQuestions, code: Any) -> None:
    store.take("porch", [a_look(1, 0)])
    taken = store.answer(1, "discard")
    ((question, sent),) = store.outgoing("porch", 10)
    store.undo(taken)
    store.settle("porch", [(question, sent, AnswerOutcome(sent.id, code))])
    assert [one.answer for _, one in store.outgoing("porch", 10)] == ["undo"]
    assert faces(store) == []
    settled(store, "porch", "failed")
    assert store.answers() == []


def test_a_question_that_shows_another_face_is_taken_out(store: FleetQuestions) -> None:
    store.take("porch", [a_look(1, 0)])
    store.take("hall", [a_look(1, 0, 1)])
    store.split(1)
    assert faces(store) == [[("hall", 1)], [("porch", 1)]]
    with pytest.raises(ConflictError, match="one question of porch"):
        store.split(1)
    with pytest.raises(NotFoundError):
        store.split(99)


def test_the_store_is_bounded_in_number_and_age(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    few = opened(review_most=3)
    looks = [a_look(n, n % 8, n) for n in range(1, 7)]
    few.take("porch", looks)
    assert sorted(one.look.id for one in few.looks()) == [4, 5, 6]
    assert few.missing("porch", pending(*looks)) == [], "they are not fetched again and again"
    later = time.time() + 31 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    few.take("porch", [])
    assert few.looks() == []


def test_an_erased_subject_leaves_no_trace_and_does_not_come_back(store: FleetQuestions, tmp_path: Path) -> None:
    mine = a_look(1, 0)
    near = a_look(2, 1, subject="bob", nearest=(SharedSubject("bob", 88.0), SharedSubject("alice", 20.0)))
    store.take("porch", [mine, near])
    store.answer(2, "name", "alice")
    assert store.forget("alice", NOW + 100) == 3
    assert [(one.look.subject, [n.subject for n in one.look.nearest]) for one in store.looks()] == [("bob", ["bob"])]
    store.close()
    files = b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE}*"))
    assert b"alice" not in files
    again = FleetQuestions(tmp_path, HubSettings())
    again.take("hall", [mine, a_look(300, 2)])
    assert [one.look.id for one in again.looks() if one.device == "hall"] == [300], "asked after the erasure"
    assert again.missing("hall", pending(mine)) == []
    again.close()


@pytest.mark.parametrize(("fleet", "left"), [(False, ["hall"]), (True, [])])
def test_erasure_notices_reach_the_copies_as_far_as_the_hub_forgets(
    store: FleetQuestions, fleet: bool, left: list[str]
) -> None:
    for device in ("porch", "hall"):
        store.take(device, [a_look(1, 0)])
    store.told("porch", {digest("porch", "alice"): NOW + 100}, fleet)
    assert [one.device for one in store.looks()] == left
    store.take("gate", [a_look(4, 0)])
    assert [one.device for one in store.looks() if one.device == "gate"] == ([] if fleet else ["gate"])


def test_a_device_that_shares_no_more_leaves(store: FleetQuestions) -> None:
    store.take("porch", [a_look(1, 0)])
    before = store.revision
    store.drop("porch")
    assert (store.devices(), store.revision != before) == (set(), True)
