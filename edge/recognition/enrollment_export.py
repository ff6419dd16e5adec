"""Enrollment export of a device to its hub, in pages: subjects, FaceIds and embeddings, never a picture.

Enabled by the setting ``commands.enrolments_key``. The hub sends a signed command with a challenge;
the request and the challenge are authenticated as context of the sealed answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge.core.errors import InputError, NotFoundError, TrustError
from edge.mqtt import sealed_box as sealed
from edge.recognition.store import segments

if TYPE_CHECKING:
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.collections import Collections
    from edge.recognition.store.segments import Entry

OPERATION = "enrolments"
PAGE = 96 << 10
"""approximate bytes of a page before sealing: it must fit into an MQTT message with headroom"""
LOOK = 1000
"""maximum faces per page"""
CHALLENGE = re.compile(r"[0-9a-f]{32,64}")
REFUSED = "not_given"
"""``reason`` of the answer if no key is set"""


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """Request for the faces of ``collection`` that were enrolled on ``device``, after the FaceId ``after``."""

    device: str
    collection: str
    after: str
    challenge: str

    def context(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=True).encode()


@dataclass(frozen=True, slots=True)
class EnrollmentPage:
    """A page of faces; ``last``: FaceId of the last face, from which the next page continues."""

    collection: str
    """name of the collection on the device"""
    entries: list[Entry]
    space: str
    last: str
    more: bool


def give(given: Mapping[str, Any], device: str, key: str, collections: Collections, usual: str) -> dict[str, Any]:
    """The answer to a command. ``usual``: the default collection.

    Raises InputError for an invalid command or if ``key`` is empty, NotFoundError.
    """
    if not key:
        hint = "set commands.enrolments_key there"
        raise InputError("the export of enrollments is disabled on this device", hint, code=REFUSED)
    values = {name: given.get(name, "") for name in ("collection", "after", "challenge")}
    for name, value in values.items():
        if not isinstance(value, str) or len(value) > 255:
            raise InputError(f"{name}: expected text, got {str(value)[:40]!r}", f"give {name!r}", code=name)
    if not CHALLENGE.fullmatch(values["challenge"]):
        raise InputError("challenge: expected 32 to 64 hex digits", "use edge hub enrolments pull", code="challenge")
    wish = EnrollmentRequest(device, values["collection"], values["after"], values["challenge"])
    name = wish.collection or usual
    if not name or name not in collections:
        raise NotFoundError(f"there is no collection {name!r} here", "name one with --collection")
    page = _page(collections.get(name), wish.after)
    return {"collection": name, "sealed": sealed.seal(key, _packed(page), wish.context())}


def read(answer: Mapping[str, Any], key: str, wish: EnrollmentRequest) -> EnrollmentPage:
    """The page of an answer to ``wish``. Raises TrustError, InputError."""
    data = sealed.unseal(key, str(answer.get("sealed", "")), wish.context())
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        name, space, count = str(head["collection"]), str(head["space"]), head["count"]
        entries = segments.unpack(rest, name, space, head["dimensions"], count) if count else []
        page = EnrollmentPage(name, entries, space, str(head["last"]), bool(head["more"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrustError(
            f"{wish.device} returned an invalid page of faces: {error!r:.200}", "check the device"
        ) from error
    if any(face.origin != "device" or not face.subject for face, _ in entries):
        raise TrustError(f"{wish.device} returned faces that were not enrolled there", "check the device")
    return page


def _page(collection: Collection, after: str) -> EnrollmentPage:
    looked = collection.faces(after, LOOK)
    own = [face for face in looked if face.origin == "device" and face.subject]
    vectors = collection.vectors([face.face_id for face in own])
    most = max(1, PAGE // (4 * vectors.shape[1] + segments.LINE))
    # the page ends after its last face, not at the end of the query: the rest is in the next page
    last = own[most - 1].face_id if len(own) > most else looked[-1].face_id if looked else after
    entries = list(zip(own[:most], vectors[:most], strict=True))
    more = len(own) > most or len(looked) == LOOK
    return EnrollmentPage(collection.name, entries, collection.space or "", last, more)


def _packed(page: EnrollmentPage) -> bytes:
    dimensions = len(page.entries[0][1]) if page.entries else 0
    head = {"collection": page.collection, "space": page.space, "dimensions": dimensions, "count": len(page.entries),
            "last": page.last, "more": page.more}  # fmt: skip
    body = segments.pack(page.collection, page.space, page.entries) if page.entries else b""
    return json.dumps(head).encode() + b"\n" + body
