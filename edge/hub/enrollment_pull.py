"""Asks devices for what was enrolled there, page by page, and keeps it for the owner's word."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, DeliveryError, TrustError
from edge.core.settings.messaging import MqttSettings
from edge.hub.command_client import ask
from edge.mqtt import sealed_box as sealed
from edge.recognition.enrollment_export import OPERATION, REFUSED, EnrollmentPage, EnrollmentRequest, read

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge.hub.publishing.enrollments import PendingEnrollments
    from edge.mqtt.command_auth import CommandAnswer

MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class Pull:
    """What came of one device."""

    device: str
    collection: str
    """as it is named there; empty: nothing came"""
    came: int
    """faces"""
    new: int
    """of them, those that had not come before"""


def pull(
    mqtt: MqttSettings, device: str, private: Ed25519PrivateKey, waiting: PendingEnrollments,
    collection: str = "", timeout: float = 15.0,
) -> Pull:  # fmt: skip
    """Bring what ``device`` enrolled since the last time. ``collection``: empty for that of its faces.

    Raises DeliveryError where it does not answer or refuses, ConflictError where its owner does not share it,
    TrustError where somebody else answers.
    """
    key = sealed.key_of(private, device)
    name, came, new = "", 0, 0
    for _ in range(MOST_PAGES):
        wish = EnrollmentRequest(device, collection, waiting.place(device, collection), secrets.token_hex(16))
        arguments = {"collection": collection, "after": wish.after, "challenge": wish.challenge}
        answer = ask(mqtt, device, OPERATION, arguments, private=private, timeout=timeout)
        if answer.code == "not_found" and wish.after:
            waiting.begin_anew(device, collection)  # its state folder is another one by now
            continue
        page = read(_given(device, answer).data, key, wish)
        _goes_on(device, wish, page)
        name = page.collection
        came += len(page.entries)
        new += waiting.take(device, collection, page)
        if not page.more:
            break
    return Pull(device, name, came, new)


def _given(device: str, answer: CommandAnswer) -> CommandAnswer:
    if answer.code == "ok":
        return answer
    if answer.data.get("reason") == REFUSED:
        raise ConflictError(
            f"{device} does not give away what was enrolled there",
            f"put the line of 'edge hub enrolments key {device}' into its settings, if its owner agrees",
        )
    raise DeliveryError(f"{device} answers {answer.code}: {answer.message}", "read its log")


def _goes_on(device: str, wish: EnrollmentRequest, page: EnrollmentPage) -> None:
    if page.more and page.last == wish.after:
        raise TrustError(f"{device} answers with the same page again and again", "look at the device")
