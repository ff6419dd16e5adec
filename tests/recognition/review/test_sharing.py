"""What a device shares of its review queue, and what it does with the hub's answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rigs.review_faces import CROP, look

from edge.core.errors import InputError, TrustError
from edge.mqtt import sealed_box
from edge.mqtt.sealed_box import key_of
from edge.recognition.review import sharing
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.queue import ReviewQueue
from edge.recognition.review.sharing import AnswerOutcome, QuestionRequest, QuestionSharing, ReceivedLook, SharedAnswer
from edge.recognition.store.collection import Collection

Ask = Callable[..., int]
HUB = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = key_of(HUB, "porch", "review")
CHALLENGE = "ab" * 16


@pytest.fixture
def porch(queue: ReviewQueue, answers: ReviewService) -> QuestionSharing:
    return QuestionSharing("porch", KEY, queue, answers, lambda _: ["helmet", "cap"])


def wish(*ids: int, challenge: str = CHALLENGE) -> QuestionRequest:
    return QuestionRequest("porch", ids, challenge)


def fetched(porch: QuestionSharing, *ids: int) -> list[ReceivedLook]:
    return sharing.read_page(porch.questions({"challenge": CHALLENGE, "ids": list(ids)}), KEY, wish(*ids))


def given(porch: QuestionSharing, *answers: SharedAnswer, key: str = KEY) -> list[AnswerOutcome]:
    command = sharing.seal_answers(answers, key, wish())
    outcomes = [outcome for _, outcome in porch.answered(command)]
    assert list(sharing.read_outcomes(porch.sealed_outcomes(command, outcomes), KEY, wish())) == outcomes
    return outcomes


def test_the_hub_gets_the_identities_and_then_the_looks_it_asks_for(porch: QuestionSharing, ask: Ask) -> None:
    numbers = [ask(look(0, 5)), ask(look(1, 6), subject=None)]
    pending = sharing.read_pending(porch.questions({"challenge": CHALLENGE}), KEY, wish())
    assert [one.id for one in pending] == numbers[::-1]
    looks = fetched(porch, *numbers, 999)
    assert [one.look.id for one in looks] == numbers
    assert [one.crop for one in looks] == [CROP, CROP]
    assert looks[0].look.subject == "alice"
    assert looks[0].look.nearest[0].subject == "alice"
    assert np.allclose(looks[1].vector, look(1, 6), atol=1e-6)


def test_a_page_holds_the_first_of_many_looks_and_fits_into_a_message(
    porch: QuestionSharing, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "PAGE", 2000)
    numbers = [ask(look(0, n)) for n in range(8)]
    left, pages = list(numbers), 0
    while left:
        looks = fetched(porch, *left)
        assert looks
        assert [one.look.id for one in looks] == left[: len(looks)]
        left, pages = left[len(looks) :], pages + 1
    assert 1 < pages < len(numbers)


def test_nobody_else_reads_a_page_or_makes_one_up(porch: QuestionSharing, ask: Ask) -> None:
    number = ask(look(0, 5))
    page = porch.questions({"challenge": CHALLENGE, "ids": [number]})
    with pytest.raises(TrustError, match="hub review key"):
        sharing.read_page(page, key_of(HUB, "hall", "review"), wish(number))
    with pytest.raises(TrustError):
        sharing.read_page(page, key_of(HUB, "porch"), wish(number))
    for other in (wish(number, challenge="cd" * 16), wish(number + 1), wish()):
        with pytest.raises(TrustError):
            sharing.read_page(page, KEY, other)


def test_an_invalid_page_of_a_device_is_refused(porch: QuestionSharing, ask: Ask) -> None:
    number = ask(look(0, 5))
    data = sealed_box.unseal(KEY, porch.questions({"challenge": CHALLENGE, "ids": [number]})["sealed"],
                             wish(number).context(), "review")  # fmt: skip
    head = json.loads(data.partition(b"\n")[0])
    nan = np.full(16, np.nan, "<f4").tobytes()
    for changes, rest in (({"id": number + 1}, data.partition(b"\n")[2]), ({}, b"short"), ({}, nan + CROP)):
        looks = [head["looks"][0] | changes]
        forged = sealed_box.seal(KEY, json.dumps({"looks": looks}).encode() + b"\n" + rest, wish(number).context())
        with pytest.raises(TrustError):
            sharing.read_page({"sealed": forged}, KEY, wish(number))


@pytest.mark.parametrize("changes", [{"challenge": "x"}, {"ids": "all"}, {"ids": [True]}, {"ids": list(range(1000))}])
def test_an_invalid_command_is_refused_in_words(porch: QuestionSharing, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        porch.questions({"challenge": CHALLENGE, **changes})
    assert caught.value.hint


def test_answers_of_the_hub_go_through_the_same_check_as_those_of_the_device(
    porch: QuestionSharing, ask: Ask, staff: Collection, queue: ReviewQueue
) -> None:
    alice, carol, wrong, ignored = ask(look(0, 5)), ask(look(4)), ask(look(1, 5, like=0, share=0.6)), ask(look(6))
    when = {one.id: one.time for one in queue.doubts()}
    outcomes = given(
        porch,
        SharedAnswer(alice, when[alice], "name", "alice"),
        SharedAnswer(carol, when[carol], "name", "carol"),
        SharedAnswer(wrong, when[wrong], "name", "alice"),
        SharedAnswer(ignored, when[ignored], "discard"),
        SharedAnswer(alice, when[alice], "name", "alice"),
        SharedAnswer(wrong, when[wrong] - 1, "discard"),
    )
    assert [one.code for one in outcomes] == ["ok", "ok", "refused", "ok", "gone", "gone"]
    assert "more like bob" in outcomes[2].error
    assert staff.subjects() == {"alice": 3, "bob": 2, "carol": 1}
    assert [one.id for one in queue.doubts()] == [wrong]
    (forced,) = given(porch, SharedAnswer(wrong, when[wrong], "name", "alice", force=True))
    assert (forced.code, staff.subjects()["alice"]) == ("ok", 4)


def test_a_rejected_name_and_an_answer_that_is_taken_back(
    porch: QuestionSharing, ask: Ask, staff: Collection, queue: ReviewQueue
) -> None:
    number = ask(look(1, 5, like=0))
    (one,) = queue.doubts()
    assert given(porch, SharedAnswer(number, one.time, "reject", "alice"))[0].code == "ok"
    assert queue.answers()[0].answer == "rejected"
    assert given(porch, SharedAnswer(one.group, 0.0, "undo"))[0].code == "ok"
    assert [each.id for each in queue.doubts()] == [number]
    assert given(porch, SharedAnswer(one.group, 0.0, "undo"))[0].code == "failed"
    assert staff.subjects() == {"alice": 2, "bob": 2}


def test_answers_that_the_hub_has_not_sealed_are_not_applied(
    porch: QuestionSharing, ask: Ask, queue: ReviewQueue
) -> None:
    number = ask(look(0, 5))
    answer = SharedAnswer(number, queue.doubts()[0].time, "name", "alice")
    with pytest.raises(TrustError):
        given(porch, answer, key=key_of(HUB, "hall", "review"))
    replayed = sealed_box.seal(KEY, json.dumps({"answers": [asdict(answer)]}).encode(), wish().context())
    with pytest.raises(TrustError):
        porch.answered({"challenge": CHALLENGE, "sealed": replayed})
    assert queue.count() == 1
