"""What a person answers is applied at once, and never makes the collection worse."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rigs.review_faces import BOX, CROP, SPACE, look

from edge.core.errors import ConflictError, NotFoundError
from edge.core.settings.services import ReviewSettings, StrangerSettings
from edge.recognition.review.answers import ReviewService, export
from edge.recognition.review.face_crops import FaceCropStore
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.review.stranger_store import Stranger
from edge.recognition.store.collection import Collection
from edge.recognition.store.collections import Collections
from edge.recognition.store.face_rows import NewFace
from edge.recognition.store.users import Users

Ask = Callable[..., int]


def test_what_is_confirmed_is_found_at_once(
    answers: ReviewService, staff: Collection, queue: ReviewQueue, ask: Ask
) -> None:
    other_side = look(0, 5)
    number = ask(other_side)
    assert answers.confirm(number) == "alice"
    (best,) = staff.search(other_side[np.newaxis], 1)[0]
    assert (best.subject, round(best.similarity, 3)) == ("alice", 1.0)
    assert queue.count() == 0
    with pytest.raises(NotFoundError):
        answers.confirm(number)


def test_a_new_subject_and_another_one(answers: ReviewService, staff: Collection, ask: Ask) -> None:
    answers.new(ask(look(4)), "carol")
    answers.rename(ask(look(1, 6)), "bob")
    assert staff.subjects() == {"alice": 2, "bob": 3, "carol": 1}
    with pytest.raises(NotFoundError, match="no subject 'bbo'"):
        answers.rename(ask(look(1, 7)), "bbo")
    with pytest.raises(ConflictError, match="has 'bob' already"):
        answers.new(ask(look(1, 7)), "bob")


def test_a_wrong_answer_that_would_make_two_people_confusable_is_refused(
    answers: ReviewService, staff: Collection, queue: ReviewQueue, ask: Ask
) -> None:
    number = ask(look(1, 5, like=0, share=0.6))
    with pytest.raises(ConflictError, match="more like bob"):
        answers.confirm(number)
    with pytest.raises(ConflictError, match="nothing like alice"):
        answers.confirm(ask(look(6, 5)))
    assert queue.count() == 2, "nothing is lost: the question waits for a better answer"
    assert staff.subjects()["alice"] == 2
    answers.confirm(number, force=True)
    assert staff.subjects()["alice"] == 3


def test_a_look_that_a_face_shows_already_adds_none(answers: ReviewService, staff: Collection, ask: Ask) -> None:
    answers.confirm(ask(look(0, 0)))
    assert staff.count == 4


def test_a_rejected_look_alike_is_held_away_from_the_name_and_the_subject_is_not(
    answers: ReviewService, staff: Collection, ask: Ask, tmp_path: Path
) -> None:
    anchors = RejectionIndex(tmp_path)
    alike = look(5, 0, like=0, share=0.9)

    def named(vector: np.ndarray) -> list[str]:
        found = staff.search(vector[np.newaxis], 5)
        return [match.name for match in anchors.held_away("staff", SPACE.fingerprint, vector[np.newaxis], found)[0]]

    assert named(alike)[0] == "alice"
    answers.reject(ask(alike))
    assert "alice" not in named(look(5, 2, like=0, share=0.9)), "another look at the same stranger"
    assert named(look(0, 3))[0] == "alice"
    anchors.close()


def test_an_answer_is_taken_back_with_all_that_came_of_it(
    answers: ReviewService, staff: Collection, queue: ReviewQueue, ask: Ask, tmp_path: Path
) -> None:
    confirmed, rejected, discarded = ask(look(0, 5)), ask(look(5, 0, like=0, share=0.9)), ask(look(3))
    before = [(one.id, one.subject, one.crop, one.nearest) for one in queue.doubts()]
    answers.confirm(confirmed)
    answers.reject(rejected)
    answers.discard(discarded)
    assert answers.undoable == [confirmed, rejected, discarded]
    assert answers.undo().id == discarded
    assert answers.undo(confirmed).id == confirmed
    assert answers.undo().id == rejected
    assert [(one.id, one.subject, one.crop, one.nearest) for one in queue.doubts()] == before
    assert (staff.count, queue.answers()) == (4, [])
    alike = look(5, 2, like=0, share=0.9)
    anchors = RejectionIndex(tmp_path)
    found = staff.search(alike[np.newaxis], 5)
    assert anchors.held_away("staff", SPACE.fingerprint, alike[np.newaxis], found) == found
    anchors.close()
    with pytest.raises(NotFoundError):
        answers.undo()


def test_taking_back_an_answer_leaves_the_face_that_was_there_before(
    answers: ReviewService, staff: Collection, ask: Ask
) -> None:
    answers.confirm(ask(look(0, 0)))
    answers.undo()
    assert staff.count == 4


def test_deleting_all_questions_leaves_no_picture_in_the_file(
    answers: ReviewService, staff: Collection, queue: ReviewQueue, ask: Ask, tmp_path: Path
) -> None:
    answers.confirm(ask(look(0, 5)))
    ask(look(0, 6))
    assert (queue.kept().waiting, queue.kept().answered, queue.kept().pictures) == (1, 1, 1)
    assert queue.clear() == 1
    assert (queue.kept().waiting, queue.kept().answered) == (0, 1)
    assert queue.clear(answers=True) == 1
    assert not any(CROP in file.read_bytes() for file in tmp_path.glob("review.sqlite*"))
    assert staff.count == 5, "what was learned stays"


def test_a_face_has_the_picture_that_it_was_confirmed_by(
    answers: ReviewService, staff: Collection, ask: Ask, tmp_path: Path
) -> None:
    number = ask(look(0, 5))
    answers.confirm(number)
    portraits = FaceCropStore(tmp_path)
    (face_id,) = portraits.all()["staff", "alice"]
    assert staff.face(face_id).subject == "alice"
    assert portraits.picture(number) == CROP
    with pytest.raises(NotFoundError):
        portraits.picture(999)
    portraits.close()


def test_what_was_confirmed_becomes_a_manifest(
    answers: ReviewService, queue: ReviewQueue, ask: Ask, tmp_path: Path
) -> None:
    number = ask(look(0, 5))
    answers.confirm(number)
    answers.discard(ask(look(3)))
    assert export(tmp_path / "out", queue.answers()) == 1
    (line,) = (tmp_path / "out" / "output.manifest").read_text().splitlines()
    document = json.loads(line)
    assert document["label-0-metadata"]["class-name"] == "alice"
    assert (tmp_path / "out" / document["source-ref"]).read_bytes() == CROP


def test_the_queue_is_bounded_expires_and_keeps_no_picture_unless_asked(tmp_path: Path, staff: Collection) -> None:
    from edge.recognition.review.question import ReviewQuestion

    def doubt(number: int, when: float) -> ReviewQuestion:
        return ReviewQuestion(
            "audit", when, "door", f"1-{number}", "face", "staff", SPACE, BOX, 0.9, 0.8, "alice", (), look(0), CROP
        )

    with ReviewQueue(tmp_path / "other", ReviewSettings(most=3, days=1)) as queue:
        queue.put([doubt(number, time.time()) for number in range(5)])
        assert [one.track for one in queue.doubts()] == ["1-2", "1-3", "1-4"]
        assert not any(one.crop for one in queue.doubts())
        queue.put([doubt(9, time.time() - 2 * 86400)])  # a label: what the clock said makes nothing old
        assert [one.track for one in queue.doubts()] == ["1-3", "1-4", "1-9"]


def test_a_confirmed_face_is_tied_to_the_user_of_its_subject_and_has_the_external_id_of_the_others(
    answers: ReviewService, collections: Collections, staff: Collection, ask: Ask
) -> None:
    users = Users(collections.store, "staff", staff.number)
    users.create("employee-17")
    bob = [face.face_id for face in staff.faces(subject="bob")]
    users.associate("employee-17", bob, 0.0)
    users.create("carol")
    face = NewFace(look(4), "carol", "c" * 64, BOX, external_image_id="carol")
    staff.add([face], SPACE)
    answers.rename(ask(look(1, 6)), "bob")
    answers.rename(ask(look(4, 3)), "carol")
    answers.confirm(ask(look(0, 5)))
    assert users.get("employee-17").faces == 3
    assert users.get("carol").faces == 1
    assert [one.external_image_id for one in staff.faces(subject="carol")] == ["carol", "carol"]
    assert [one.external_image_id for one in staff.faces(subject="alice")] == [None, None, "alice"]


def test_an_answer_that_names_a_stranger_names_all_that_is_kept_of_him_and_can_be_taken_back(
    answers: ReviewService, queue: ReviewQueue, staff: Collection, ask: Ask
) -> None:
    looks = np.stack([look(5, 1), look(5, 2)])
    stranger = Stranger(0, 7, "staff", "face", SPACE, time.time(), time.time(), 2, 0.9, looks)
    queue.strangers.put([stranger], StrangerSettings())
    doubt = replace(queue.get(ask(look(5, 3), None)), pseudonym="unknown-7")
    queue.put([doubt])
    answers.new(queue.doubts(limit=10)[-1].id, "maria")
    assert staff.subjects()["maria"] == 3
    assert queue.strangers.all() == []
    answers.undo()
    assert "maria" not in staff.subjects()
    assert [one.name for one in queue.strangers.all()] == ["unknown-7"]
