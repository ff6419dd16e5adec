"""Pulls enrollments from devices, page by page, and stores them as pending until the owner decides."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.core.errors import TrustError
from edge.core.settings.messaging import MqttSettings
from edge.hub.command_client import ask, checked
from edge.mqtt import sealed_box as sealed
from edge.recognition.enrollment_export import OPERATION, EnrollmentPage, EnrollmentRequest, read

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge.hub.publishing.enrollments import PendingEnrollments

MOST_PAGES = 10_000
"""per pull"""


@dataclass(frozen=True, slots=True)
class Pull:
    """Result of a pull from one device."""

    device: str
    collection: str
    """its name on the device; empty: nothing was received"""
    came: int
    """received faces"""
    new: int
    """received faces that were not pulled before"""


def pull(
    mqtt: MqttSettings, device: str, private: Ed25519PrivateKey, waiting: PendingEnrollments,
    collection: str = "", timeout: float = 15.0,
) -> Pull:  # fmt: skip
    """Pull the faces that ``device`` has enrolled since the last pull. ``collection``: empty for its default one.

    Raises DeliveryError where the device does not answer or rejects the command, ConflictError where it does not share
    enrollments, TrustError where the answer is not authentic.
    """
    key = sealed.key_of(private, device)
    name, came, new = "", 0, 0
    for _ in range(MOST_PAGES):
        wish = EnrollmentRequest(device, collection, waiting.place(device, collection), secrets.token_hex(16))
        arguments = {"collection": collection, "after": wish.after, "challenge": wish.challenge}
        answer = ask(mqtt, device, OPERATION, arguments, private=private, timeout=timeout)
        if answer.code == "not_found" and wish.after:
            waiting.begin_anew(device, collection)  # its state folder was replaced since
            continue
        remedy = f"add the output of 'edge hub enrolments key {device}' to its settings, if its owner agrees"
        page = read(checked(device, answer, "does not share its enrollments", remedy).data, key, wish)
        _check_progress(device, wish, page)
        name = page.collection
        came += len(page.entries)
        new += waiting.take(device, collection, page)
        if not page.more:
            break
    return Pull(device, name, came, new)


def _check_progress(device: str, wish: EnrollmentRequest, page: EnrollmentPage) -> None:
    if page.more and page.last == wish.after:
        raise TrustError(f"{device} returns the same page repeatedly", "check the device")
