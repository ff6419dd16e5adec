"""What travels over MQTT: events and documents, to JSON and back.

Events are written by hand (they are many) and read by pydantic (they come from outside, and the same types give the
JSON Schema). Numbers are rounded: fractions and similarities to 4 digits, times to milliseconds. A receiver ignores
fields that it does not know, so fields can be added; ``v`` changes when one changes its meaning.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, StrictBool, StrictInt

from edge.core.errors import InputError
from edge.core.types import Box, CustomLabel, Event, Identity, IdentityState, Queued
from edge.mqtt._documents import (
    V1,
    VERSION,
    WIRE,
    CameraStats,
    Cosine,
    Count,
    Farewell,
    Farewells,
    Info,
    Mark,
    Present,
    Reported,
    Shed,
    State,
    Stats,
    Status,
    Time,
    WireCustomLabel,
)
from edge.mqtt._event_document import event_document

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "V1",
    "VERSION",
    "CameraStats",
    "Farewell",
    "Farewells",
    "Info",
    "Mark",
    "Present",
    "Reported",
    "Shed",
    "State",
    "Stats",
    "Status",
    "WireBox",
    "WireCustomLabel",
    "WireEvent",
    "WireIdentity",
    "adapter",
    "event_json",
    "parse",
    "to_json",
]

MAX_EVENT = 16 << 10
"""bytes of an event; ours are below 1 kB but for long names"""
MAX_DOCUMENT = 256 << 10
"""bytes of any other document"""

Fraction = Annotated[float, Field(ge=-10.0, le=10.0)]
"""of the frame; boxes may stick out of it"""
Name = Annotated[str, Field(min_length=1, max_length=255)]


@dataclass(frozen=True, slots=True)
class WireBox:
    """Fractions of the frame."""

    __pydantic_config__ = WIRE
    left: Fraction
    top: Fraction
    width: Annotated[float, Field(ge=0.0, le=20.0)]
    height: Annotated[float, Field(ge=0.0, le=20.0)]


@dataclass(frozen=True, slots=True)
class WireIdentity:
    """Whose track it is."""

    __pydantic_config__ = WIRE
    state: IdentityState
    subject: str | None = None
    similarity: Cosine | None = None
    runner_up: Cosine | None = None
    face_id: str | None = None
    collection: str | None = None
    pseudonym: Annotated[str, Field(max_length=64)] | None = None
    """of an unknown face that was seen before; only there where the device gives pseudonyms"""


@dataclass(frozen=True, slots=True)
class WireEvent:
    """One event, ``up/event/<camera>``. (device, epoch, seq) is the key by which a receiver drops duplicates."""

    __pydantic_config__ = WIRE
    v: V1
    id: Annotated[str, Field(max_length=128)]
    device: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    epoch: Annotated[StrictInt, Field(ge=1, lt=2**31)]
    seq: Annotated[StrictInt, Field(ge=1, le=2**53)]
    type: Literal["new", "update", "end"]
    camera: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    track: Annotated[str, Field(min_length=1, max_length=128)]
    label: Name
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    box: WireBox
    zones: Annotated[tuple[str, ...], Field(max_length=256)]
    identity: WireIdentity
    time: Time
    started: Time
    ended: Time | None = None
    clock: Literal["synced", "unsynced"] = "synced"
    release: Annotated[str, Field(max_length=255)] = ""
    reason: Annotated[str, Field(max_length=64)] = ""
    video_time: Time | None = None
    after: Count | None = None
    """seq of the event before this one that can still come, 0 when none; sent where a hub acknowledges"""
    custom_labels: Annotated[tuple[WireCustomLabel, ...], Field(max_length=64)] = ()
    whole: StrictBool = False
    """it is of the picture as a whole: ``box`` is the whole frame"""

    @property
    def event(self) -> Event:
        """As the device made it, up to rounding."""
        box, who = self.box, self.identity
        return Event(
            type=self.type,
            camera=self.camera,
            track=self.track,
            label=self.label,
            score=self.score,
            box=Box(box.left, box.top, box.left + box.width, box.top + box.height),
            identity=Identity(
                who.state, who.subject, who.similarity, who.runner_up, who.face_id, who.collection, who.pseudonym
            ),
            zones=tuple(self.zones),
            time=self.time,
            started=self.started,
            ended=self.ended,
            clock=self.clock,
            release=self.release,
            reason=self.reason,
            video_time=self.video_time,
            custom_labels=tuple(CustomLabel(one.name, one.score, one.version) for one in self.custom_labels),
            whole=self.whole,
        )


_adapters: dict[type, Any] = {}
Document = TypeVar("Document")


def event_json(device: str, queued: Queued, *, with_after: bool = False) -> bytes:
    """The event as it travels. ``with_after`` where a hub acknowledges: it tells gaps from losses."""
    key = {"v": VERSION, "id": f"{device}/{queued.epoch}/{queued.seq}", "device": device}
    document = {**key, "epoch": queued.epoch, "seq": queued.seq, **event_document(queued.event)}
    if with_after:
        document["after"] = queued.after
    return _dump(document)


def to_json(document: Status | Info | State | Stats | Reported | Mark | Farewells) -> bytes:
    """A document as it travels. Raises InputError for numbers that are not finite."""
    return _dump(asdict(document))


def parse(kind: type[Document], payload: bytes) -> Document:
    """Read a document that came from outside. Raises InputError with the field and the rule it breaks."""
    from pydantic import ValidationError

    most = MAX_EVENT if kind is WireEvent else MAX_DOCUMENT
    if len(payload) > most:
        raise InputError(f"{kind.__name__}: expected at most {most} bytes, got {len(payload)}", "ignore the message")
    try:
        document: Document = adapter(kind).validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(name) for name in first["loc"]) or "the document"
        raise InputError(f"{kind.__name__}: {where}: {first['msg']}"[:300], "ignore the message") from error
    return document


def adapter(kind: type[Document]) -> TypeAdapter[Document]:
    """The reader of a document, and the source of its JSON Schema."""
    from pydantic import TypeAdapter

    found: TypeAdapter[Document] | None = _adapters.get(kind)
    if found is None:
        found = _adapters[kind] = TypeAdapter(kind)
    return found


def _dump(document: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # a name may hold half a surrogate pair; its event must travel all the same
        return text.encode("utf-8", "replace")
    except ValueError as error:
        raise InputError(f"document cannot be written as JSON: {error}", "report this as a bug") from error
