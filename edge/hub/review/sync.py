"""Exchange with one device: its pending questions come, answers go. Both over MQTT, signed and sealed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.core.errors import TrustError
from edge.hub.command_client import CommandClient, checked
from edge.hub.review.store import FleetQuestions
from edge.mqtt.sealed_box import key_of
from edge.recognition.review import sharing
from edge.recognition.review.sharing import QuestionRequest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TIMEOUT = 15.0
"""seconds for each answer of a device"""
MAX_REQUESTS = 1000
"""per exchange"""
MAX_OVERTAKEN = 5
"""tries of a command while another program signs with the same key"""


@dataclass(frozen=True, slots=True)
class ReviewExchange:
    """What one exchange with a device did."""

    device: str
    pending: int
    """crops that are pending on the device"""
    new: int
    """crops that the hub did not have"""
    applied: int
    """answers that the device applied, or that came too late"""
    refused: int
    """answers that the device did not apply: their questions are open again"""


def exchange(
    client: CommandClient, device: str, private: Ed25519PrivateKey, store: FleetQuestions, timeout: float = TIMEOUT
) -> ReviewExchange:
    """Deliver the answers for ``device``, and fetch the questions that it has.

    Raises DeliveryError where the device does not answer, ConflictError where it does not share questions, TrustError
    where its answer is not authentic, StoreError.
    """
    one = _Exchange(client, device, private, timeout)
    pending, missing = one.pending(store)
    applied, refused = one.deliver(store)
    if applied:  # an answer resolves other questions as well
        pending, missing = one.pending(store)
    return ReviewExchange(device, pending, one.fetch(store, missing), applied, refused)


class _Exchange:
    def __init__(self, client: CommandClient, device: str, private: Ed25519PrivateKey, timeout: float) -> None:
        self._device = device
        self._key = key_of(private, device, sharing.PURPOSE)
        self._client, self._private, self._timeout = client, private, timeout

    def pending(self, store: FleetQuestions) -> tuple[int, list[int]]:
        """How many crops are pending, and the ids of those that the store lacks."""
        wish = self._request()
        found = sharing.read_pending(self._ask(sharing.QUESTIONS, {"challenge": wish.challenge}), self._key, wish)
        return len(found), store.missing(self._device, found)

    def fetch(self, store: FleetQuestions, missing: list[int]) -> int:
        """Fetch the crops that the store lacks; returns how many are new."""
        new = 0
        for _ in range(MAX_REQUESTS):
            if not missing:
                return new
            wish = self._request(tuple(missing[: sharing.MAX_ASKED]))
            arguments = {"challenge": wish.challenge, "ids": list(wish.ids)}
            page = sharing.read_page(self._ask(sharing.QUESTIONS, arguments), self._key, wish)
            new += store.take(self._device, page)
            # the page holds the first of those that are still pending
            last = wish.ids.index(page[-1].look.id) + 1 if page else len(wish.ids)
            missing = missing[last:]
        raise TrustError(f"{self._device} has an unlimited number of questions", "check the device")

    def deliver(self, store: FleetQuestions) -> tuple[int, int]:
        """Deliver the answers; returns how many were applied and how many were not."""
        applied = refused = 0
        while given := store.outgoing(self._device, sharing.MAX_ANSWERS):
            wish = self._request()
            arguments = sharing.seal_answers([answer for _, answer in given], self._key, wish)
            outcomes = sharing.read_outcomes(self._ask(sharing.ANSWERS, arguments), self._key, wish)
            if [one.id for one in outcomes] != [answer.id for _, answer in given]:
                raise TrustError(f"{self._device} returned outcomes of other answers", "check the device")
            store.settle(self._device, [(*one, outcome) for one, outcome in zip(given, outcomes, strict=True)])
            done = sum(one.code in ("ok", "gone") for one in outcomes)
            applied, refused = applied + done, refused + len(outcomes) - done
        return applied, refused

    def _ask(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Data of the answer. A command overtaken by a later one of the same key is sent again."""
        for _ in range(MAX_OVERTAKEN):
            answer = self._client.ask(self._device, operation, arguments, private=self._private, timeout=self._timeout)
            if answer.code != "replayed":
                break
        remedy = f"add the output of 'edge hub review key {self._device}' to its settings, if its owner agrees"
        return checked(self._device, answer, "shares no review questions", remedy).data

    def _request(self, ids: tuple[int, ...] = ()) -> QuestionRequest:
        return QuestionRequest(self._device, ids, secrets.token_hex(16))
