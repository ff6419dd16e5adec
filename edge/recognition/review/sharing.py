"""Review questions that a device shares with its hub, and the hub's answers: sealed in both directions.

Enabled by the setting ``commands.review_key``. The hub asks by a signed command: first for the identities of all
pending crops, then for the crops that it lacks, in pages. A page is a line of JSON (the documents) followed by the
embeddings (little-endian float32) and the JPEG crops. Requests, challenges and answers are authenticated as context of
the box.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, StrictInt, StrictStr

from edge.core.errors import ConflictError, EdgeError, InputError, NotFoundError, TrustError
from edge.mqtt import sealed_box
from edge.mqtt.messages import WIRE, Time, parse
from edge.recognition.review.answers import ReviewService
from edge.recognition.review.question import ReviewQuestion
from edge.recognition.review.queue import PendingLook, ReviewQueue

if TYPE_CHECKING:
    from edge.core.types import FloatArray

QUESTIONS, ANSWERS = "review", "review_answer"
"""operations"""
PURPOSE: sealed_box.Purpose = "review"
PAGE = 96 << 10
"""bytes of a page before sealing, except for its first crop: it must fit into an MQTT message with headroom"""
MAX_PENDING = 2000
"""maximum crops that are shared, the newest"""
MAX_ASKED = 100
"""maximum crops per request"""
MAX_ANSWERS = 50
"""maximum answers per request"""
MAX_CROP = 64 << 10
"""bytes"""
MAX_DIMENSIONS = 4096
CHALLENGE = re.compile(r"[0-9a-f]{32,64}")

AnswerKind = Literal["name", "reject", "discard", "undo"]
Text = Annotated[StrictStr, Field(max_length=255)]
Number = Annotated[StrictInt, Field(ge=1, lt=2**53)]
Share = Annotated[float, Field(ge=-1.001, le=1.001)]
Likeness = Annotated[float, Field(ge=0.0, le=100.0)]


@dataclass(frozen=True, slots=True)
class SharedSubject:
    """A subject that the doubtful face resembles."""

    __pydantic_config__ = WIRE
    subject: Text
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class SharedLook:
    """A crop of a question, as it travels; its question is described by the crop of the best quality."""

    __pydantic_config__ = WIRE
    id: Number
    group: Number
    time: Time
    reason: Text
    camera: Text
    label: Text
    collection: Text
    version: Text
    """version of custom labels; empty: a face"""
    space: Text
    """fingerprint of the embedding space"""
    subject: Text | None
    """the doubtful name at the time of the request"""
    pseudonym: Text
    quality: Share
    match: Share
    """cosine from which two crops count as one face; 0: unknown"""
    needed: Likeness
    """likeness that a match requires; 0: unknown"""
    nearest: Annotated[tuple[SharedSubject, ...], Field(max_length=20)]
    choices: Annotated[tuple[Text, ...], Field(max_length=1000)]
    """labels to choose from, for custom labels"""
    dimensions: Annotated[StrictInt, Field(ge=1, le=MAX_DIMENSIONS)]
    crop: Annotated[StrictInt, Field(ge=0, le=MAX_CROP)]
    """bytes of the JPEG; 0: none is kept"""


@dataclass(frozen=True, slots=True)
class ReceivedLook:
    """A crop with its content, at the hub."""

    look: SharedLook
    vector: FloatArray = field(repr=False)
    crop: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SharedAnswer:
    """An answer of the hub. ``id`` and ``time`` identify a crop of the question, for ``undo`` only its number."""

    __pydantic_config__ = WIRE
    id: Number
    time: Time
    answer: AnswerKind
    subject: Text = ""
    force: bool = False
    who: Annotated[StrictStr, Field(max_length=80)] = ""
    """who answered at the hub, for the log"""


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """What became of an answer on the device."""

    __pydantic_config__ = WIRE
    id: Number
    code: Literal["ok", "gone", "refused", "failed"]
    """``gone``: answered already; ``refused``: by the consistency check, ``force`` would apply it"""
    error: Annotated[StrictStr, Field(max_length=1024)] = ""
    hint: Annotated[StrictStr, Field(max_length=1024)] = ""


@dataclass(frozen=True, slots=True)
class _Pending:
    """Head of an answer without crops."""

    __pydantic_config__ = WIRE
    pending: Annotated[tuple[tuple[Number, Number, Time], ...], Field(max_length=MAX_PENDING)]


@dataclass(frozen=True, slots=True)
class _Page:
    """Head of a page of crops."""

    __pydantic_config__ = WIRE
    looks: Annotated[tuple[SharedLook, ...], Field(max_length=MAX_ASKED)]


@dataclass(frozen=True, slots=True)
class _Answers:
    __pydantic_config__ = WIRE
    answers: Annotated[tuple[SharedAnswer, ...], Field(max_length=MAX_ANSWERS)]


@dataclass(frozen=True, slots=True)
class _Outcomes:
    __pydantic_config__ = WIRE
    outcomes: Annotated[tuple[AnswerOutcome, ...], Field(max_length=MAX_ANSWERS)]


@dataclass(frozen=True, slots=True)
class QuestionRequest:
    """Request for crops by id; without ids for the identities of all pending crops."""

    device: str
    ids: tuple[int, ...]
    challenge: str

    def context(self, to: Literal["hub", "device"] = "hub", operation: str = QUESTIONS) -> bytes:
        """What the box of this exchange is bound to. ``to``: its receiver."""
        return json.dumps({**asdict(self), "operation": operation, "to": to}, sort_keys=True).encode()


# ---- device ----


class QuestionSharing:
    """Answers the two commands on the device. ``labels``: the labels to choose from, by version of custom labels.

    Its methods raise InputError for an invalid command, TrustError for a box that is not the hub's, StoreError.
    """

    def __init__(
        self, device: str, key: str, queue: ReviewQueue, service: ReviewService, labels: Callable[[str], list[str]]
    ) -> None:
        self._device, self._key, self._queue, self._service, self._labels = device, key, queue, service, labels

    def questions(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to ``review``: identities, or a page of the requested crops that are still pending."""
        ids = given.get("ids", [])
        if not isinstance(ids, list) or len(ids) > MAX_ASKED or not all(type(one) is int for one in ids):
            raise InputError(f"ids: expected at most {MAX_ASKED} numbers", "use edge hub review pull", code="ids")
        wish = QuestionRequest(self._device, tuple(ids), _challenge(given))
        if ids:
            data = self._page(wish.ids)
        else:
            pending = [(one.id, one.group, one.time) for one in self._queue.pending(MAX_PENDING)]
            data = json.dumps({"pending": pending}).encode() + b"\n"
        return {"sealed": sealed_box.seal(self._key, data, wish.context())}

    def answered(self, given: Mapping[str, Any]) -> list[tuple[SharedAnswer, AnswerOutcome]]:
        """Apply the answers of ``review_answer``, each independently; ``sealed_outcomes`` is the reply."""
        wish = QuestionRequest(self._device, (), _challenge(given))
        data = sealed_box.unseal(self._key, str(given.get("sealed", "")), wish.context("device", ANSWERS), PURPOSE)
        return [(one, self._applied(one)) for one in parse(_Answers, data).answers]

    def sealed_outcomes(self, given: Mapping[str, Any], outcomes: Sequence[AnswerOutcome]) -> dict[str, Any]:
        """The reply to ``review_answer``."""
        wish = QuestionRequest(self._device, (), _challenge(given))
        data = json.dumps({"outcomes": [asdict(one) for one in outcomes]}).encode()
        return {"sealed": sealed_box.seal(self._key, data, wish.context("hub", ANSWERS))}

    def _applied(self, one: SharedAnswer) -> AnswerOutcome:
        try:
            if one.answer != "undo" and self._queue.get(one.id).time != one.time:
                return AnswerOutcome(one.id, "gone")
            APPLIED[one.answer](self._service, one)
        except NotFoundError as error:
            gone = one.answer != "undo" and not self._is_pending(one.id)
            return AnswerOutcome(one.id, "gone" if gone else "failed", *_words(error))
        except ConflictError as error:
            return AnswerOutcome(one.id, "refused", *_words(error, one.id))
        except EdgeError as error:
            return AnswerOutcome(one.id, "failed", *_words(error, one.id))
        return AnswerOutcome(one.id, "ok")

    def _is_pending(self, number: int) -> bool:
        try:
            self._queue.get(number)
        except NotFoundError:
            return False
        return True

    def _page(self, ids: Sequence[int]) -> bytes:
        found = self._service.current(list(self._found(ids)))
        choices = {version: tuple(self._labels(version)) for version in {one.version for one in found} if version}
        heads: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        size = 0
        for one in found:
            crop = one.crop if len(one.crop) <= MAX_CROP else b""
            head = _document(one, choices.get(one.version, ()), len(crop))
            blob = one.vector.astype("<f4").tobytes() + crop
            size += len(json.dumps(head)) + len(blob)
            if heads and size > PAGE:
                break
            heads.append(head)
            blobs.append(blob)
        return json.dumps({"looks": heads}).encode() + b"\n" + b"".join(blobs)

    def _found(self, ids: Sequence[int]) -> Iterator[ReviewQuestion]:
        for number in ids:
            try:
                found = self._queue.get(number)
            except NotFoundError:
                continue
            if found.id == number:
                yield found


APPLIED: dict[AnswerKind, Callable[[ReviewService, SharedAnswer], object]] = {
    "name": lambda service, one: service.name(one.id, one.subject, one.force),
    "reject": lambda service, one: service.reject(one.id, one.subject),
    "discard": lambda service, one: service.discard(one.id),
    "undo": lambda service, one: service.undo(one.id),
}
"""answer -> handler"""


def _challenge(given: Mapping[str, Any]) -> str:
    value = given.get("challenge", "")
    if not isinstance(value, str) or not CHALLENGE.fullmatch(value):
        raise InputError("challenge: expected 32 to 64 hex digits", "use edge hub review", code="challenge")
    return value


def _document(one: ReviewQuestion, choices: tuple[str, ...], crop: int) -> dict[str, Any]:
    nearest = tuple(
        SharedSubject(near.subject, round(100 * near.similarity if one.version else near.likeness, 1))
        for near in one.nearest
    )
    look = SharedLook(
        one.id, one.group, one.time, one.reason, one.camera, one.label, one.collection, one.version,
        one.space.fingerprint, one.subject, one.pseudonym, round(one.quality, 3), one.match, round(one.needed, 1),
        nearest, choices, len(one.vector), crop,
    )  # fmt: skip
    return asdict(look)


def _words(error: EdgeError, number: int = 0) -> tuple[str, str]:
    return error.message.removeprefix(f"question {number}: ")[:1024], (error.hint or "")[:1024]


# ---- hub ----


def read_pending(data: Mapping[str, Any], key: str, wish: QuestionRequest) -> list[PendingLook]:
    """The identities of an answer to ``wish``. Raises TrustError, InputError."""
    head, _ = _opened(data, key, wish)
    return [PendingLook(*one) for one in parse(_Pending, head).pending]


def read_page(data: Mapping[str, Any], key: str, wish: QuestionRequest) -> list[ReceivedLook]:
    """The crops of an answer to ``wish``: the first of those that are still pending. Raises TrustError, InputError."""
    head, rest = _opened(data, key, wish)
    found = []
    for look in parse(_Page, head).looks:
        size = 4 * look.dimensions
        vector, crop, rest = rest[:size], rest[size : size + look.crop], rest[size + look.crop :]
        if len(vector) + len(crop) < size + look.crop or look.id not in wish.ids:
            raise TrustError(f"{wish.device} returned an invalid page of questions", "check the device")
        found.append(ReceivedLook(look, _unit(vector, wish.device), _jpeg(crop)))
    return found


def seal_answers(answers: Sequence[SharedAnswer], key: str, wish: QuestionRequest) -> dict[str, Any]:
    """Arguments of the command ``review_answer``."""
    data = json.dumps({"answers": [asdict(one) for one in answers]}).encode()
    return {"challenge": wish.challenge, "sealed": sealed_box.seal(key, data, wish.context("device", ANSWERS))}


def read_outcomes(data: Mapping[str, Any], key: str, wish: QuestionRequest) -> tuple[AnswerOutcome, ...]:
    """The reply to ``review_answer``. Raises TrustError, InputError."""
    sealed = str(data.get("sealed", ""))
    return parse(_Outcomes, sealed_box.unseal(key, sealed, wish.context("hub", ANSWERS), PURPOSE)).outcomes


def _opened(data: Mapping[str, Any], key: str, wish: QuestionRequest) -> tuple[bytes, bytes]:
    opened = sealed_box.unseal(key, str(data.get("sealed", "")), wish.context(), PURPOSE)
    head, _, rest = opened.partition(b"\n")
    return head, rest


def _unit(data: bytes, device: str) -> FloatArray:
    """The embedding, of length 1; grouping compares by cosine."""
    vector = np.frombuffer(data, "<f4").astype(np.float32)
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0.0:
        raise TrustError(f"{device} returned an invalid embedding", "check the device")
    return np.asarray(vector / np.float32(length), np.float32)


def _jpeg(crop: bytes) -> bytes:
    """The crop; empty where it is no JPEG: it is served to browsers."""
    return crop if crop.startswith(b"\xff\xd8") else b""
