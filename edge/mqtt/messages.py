"""MQTT messages: events and documents as JSON.

Events are written by hand (they are many) and read by pydantic (they come from outside, and the same types give the
JSON Schema). Numbers are rounded: fractions and similarities to 4 digits, times to milliseconds. A receiver ignores
fields that it does not know, so fields can be added; ``v`` changes when one changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from edge.core.errors import InputError
from edge.core.types import Box, CustomLabel, Event, FaceAttribute, Identity, IdentityState, Queued

if TYPE_CHECKING:
    from pydantic import TypeAdapter


VERSION = 1

WIRE = ConfigDict(extra="ignore", allow_inf_nan=False, str_max_length=1024, defer_build=True)

Cosine = Annotated[float, Field(ge=-1.001, le=1.001)]
Time = Annotated[float, Field(ge=0.0, le=1e11)]
"""seconds since the epoch"""
Count = Annotated[StrictInt, Field(ge=0, le=2**53)]
V1 = Annotated[StrictInt, Field(ge=1, le=1)]
MAX_PICTURE = 192 << 10
"""characters of a notification's picture"""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """``up/status``, retained, and the will: whether the device is there."""

    __pydantic_config__ = WIRE
    online: StrictBool
    session: Count
    """of the daemon; ``online: false`` of an older session than the latest ``online: true`` is stale"""
    reason: str = ""
    """why it is not online: ``stopped``, or ``lost`` in the will"""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Info:
    """``up/info``, retained: what the device is."""

    __pydantic_config__ = WIRE
    device: str
    version: str
    session: Count
    release: str = ""
    hardware: str = ""
    runtime: str = ""
    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    custom_labels: tuple[str, ...] = ()
    """versions that are told: ``helmets/3``"""
    models: dict[str, str] = field(default_factory=dict)
    """name -> sha256"""
    capabilities: tuple[str, ...] = ()
    acknowledge: Literal["broker", "hub"] = "broker"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class WireCustomLabel:
    """What custom labels say of a track, or of the whole picture."""

    __pydantic_config__ = WIRE
    name: Annotated[str, Field(min_length=1, max_length=255)]
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    version: Annotated[str, Field(max_length=128)] = ""
    """``helmets/3``"""


@dataclass(frozen=True, slots=True)
class WireAttribute:
    """An attribute of a face."""

    __pydantic_config__ = WIRE
    name: Annotated[str, Field(min_length=1, max_length=64)]
    """``smile``, ``age_range``, ..."""
    value: Annotated[str, Field(max_length=64)]
    """``yes`` or ``no``; ``male`` or ``female``; ``25-40`` years; the most probable emotion"""
    score: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """probability of the value; 0 of an age range"""


def wire_labels(found: Sequence[CustomLabel]) -> tuple[WireCustomLabel, ...]:
    return tuple(WireCustomLabel(one.name[:255], round(one.score, 4), one.version) for one in found)


@dataclass(frozen=True, slots=True)
class PresenceEntry:
    """A present track."""

    __pydantic_config__ = WIRE
    track: str
    label: str
    state: IdentityState
    subject: str | None = None
    similarity: Cosine | None = None
    zones: tuple[str, ...] = ()
    started: Time = 0.0
    custom_labels: tuple[WireCustomLabel, ...] = ()
    whole: StrictBool = False
    """it is a custom label of the picture as a whole, not of a place in it"""


@dataclass(frozen=True, slots=True)
class CameraPresenceDocument:
    """``up/state/<camera>``, retained: who and what is present now."""

    __pydantic_config__ = WIRE
    camera: str
    status: str
    """of the camera: ``ok``, ``lost``, ``off``"""
    time: Time
    present: tuple[PresenceEntry, ...] = ()
    counts: dict[str, Count] = field(default_factory=dict)
    """label, custom or not -> tracks"""
    subjects: tuple[str, ...] = ()
    clock: Literal["synced", "unsynced"] = "synced"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Recognized:
    """``up/recognized/<camera>``: a subject is recognized at a camera, once for each track."""

    __pydantic_config__ = WIRE
    camera: str
    track: str
    label: str
    subject: str
    time: Time
    similarity: Cosine | None = None
    zones: tuple[str, ...] = ()
    event_type: Literal["recognized"] = "recognized"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Notification:
    """``up/notification/<camera>``, and what a webhook gets: a subject or thing is at a camera, once for each track."""

    __pydantic_config__ = WIRE
    device: str
    camera: str
    track: str
    label: str
    state: IdentityState
    time: Time
    text: str
    """``alice at door``"""
    subject: str | None = None
    pseudonym: str | None = None
    """of a stranger who was seen before"""
    likeness: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """0..100"""
    zones: tuple[str, ...] = ()
    custom_labels: tuple[WireCustomLabel, ...] = ()
    clock: Literal["synced", "unsynced"] = "synced"
    page: str = ""
    """address of the owner's page; empty where it is served to this device alone"""
    picture: Annotated[str, Field(max_length=MAX_PICTURE)] | None = None
    """JPEG in base64"""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class CameraStats:
    """Statistics of one camera."""

    __pydantic_config__ = WIRE
    status: str = ""
    fps: float = 0.0
    """frames a second lately, those in which nothing was to be looked at included"""
    frames: Count = 0
    dropped: Count = 0
    looks: float = 0.0
    """frames a second lately that a detector looked at"""
    wanted: float = 0.0
    """frames a second that the settings ask for"""
    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """share of the inference thread, recently"""


@dataclass(frozen=True, slots=True)
class ShedReport:
    """Load shedding of a device that is hot or cannot keep up."""

    __pydantic_config__ = WIRE
    level: Count = 0
    """0: nothing"""
    most: Count = 0
    """the level at which everything is given up that may be; 0 where nothing ever is"""
    what: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """``up/stats``: statistics of the device."""

    __pydantic_config__ = WIRE
    time: Time
    uptime: float
    """seconds"""
    cameras: dict[str, CameraStats] = field(default_factory=dict)
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """stage -> p50, p99"""
    outbox: dict[str, Any] = field(default_factory=dict)
    mqtt: dict[str, Any] = field(default_factory=dict)
    memory_mb: float = 0.0
    cpu_percent: float = 0.0
    temperature: float | None = None
    """degrees Celsius"""
    throttled: tuple[str, ...] = ()
    """active throttling conditions"""
    shed: ShedReport = field(default_factory=ShedReport)
    clock: Literal["synced", "unsynced"] = "synced"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Reported:
    """``up/reported``, retained: the running release and where an update is."""

    __pydantic_config__ = WIRE
    release: str
    phase: Literal["idle", "downloading", "verifying", "staged", "probation", "committed", "failed", "rolled_back"] = (
        "idle"
    )
    desired: str = ""
    progress: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    error: str = ""
    group: str = ""
    """of the device, as its ``sync.group`` says"""
    expiring: dict[str, str] = field(default_factory=dict)
    """roles of the release repository whose signatures expire soon: role -> YYYY-MM-DD"""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class ErasureNotice:
    """An erased subject."""

    __pydantic_config__ = WIRE
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256, hex, of the device's name, a line feed, and the subject: no name travels"""
    time: Time
    epoch: Annotated[StrictInt, Field(ge=0, lt=2**31)] = 0
    """of the device's latest event then; 0: not known"""
    seq: Count = 0
    """of the device's latest event then: whatever the clocks say, events up to it are from before"""
    clock: Literal["synced", "unsynced"] = "synced"
    """of the device then"""


@dataclass(frozen=True, slots=True)
class ErasureNotices:
    """``up/forgotten``, retained: recent erasures on the device, so that hubs erase them as well."""

    __pydantic_config__ = WIRE
    forgotten: Annotated[tuple[ErasureNotice, ...], Field(max_length=1000)] = ()
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class DeliveryMark:
    """``down/ack``: the hub has stored everything of ``epoch`` up to ``seq``."""

    __pydantic_config__ = WIRE
    epoch: Annotated[StrictInt, Field(ge=1, lt=2**31)]
    seq: Count


def event_document(event: Event) -> dict[str, Any]:
    """Content of an event, without its key."""
    document: dict[str, Any] = {
        "type": event.type,
        "camera": event.camera,
        "track": event.track,
        "label": event.label[:255],
        "score": round(event.score, 4),
        "box": _box(event.box),
        "zones": list(event.zones),
        "identity": _identity(event.identity),
        "time": round(event.time, 3),
        "started": round(event.started, 3),
        "ended": None if event.ended is None else round(event.ended, 3),
        "clock": event.clock,
        "release": event.release,
    }
    if event.reason:
        document["reason"] = event.reason
    if event.video_time is not None:
        document["video_time"] = round(event.video_time, 3)
    if event.custom_labels:
        document["custom_labels"] = [asdict(one) for one in wire_labels(event.custom_labels)]
    if event.whole:
        document["whole"] = True
    if event.attributes:
        document["attributes"] = [{**asdict(one), "score": round(one.score, 4)} for one in event.attributes]
    return document


def _box(box: Box) -> dict[str, float]:
    sides = {"left": box.left, "top": box.top, "width": box.width, "height": box.height}
    return {name: round(value, 4) for name, value in sides.items()}


def _identity(identity: Identity) -> dict[str, Any]:
    document: dict[str, Any] = {
        "state": identity.state,
        "subject": identity.subject[:1024] if identity.subject else None,
        "similarity": _rounded(identity.similarity),
        "runner_up": _rounded(identity.runner_up),
        "face_id": identity.face_id,
        "collection": identity.collection,
    }
    further = {"likeness": _rounded(identity.likeness), "pseudonym": identity.pseudonym}
    return document | {name: value for name, value in further.items() if value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


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
    """Identity of the track."""

    __pydantic_config__ = WIRE
    state: IdentityState
    subject: str | None = None
    """null unless ``known``; ``recognition.doubtful_names`` of the device adds the name in doubt"""
    similarity: Cosine | None = None
    runner_up: Cosine | None = None
    face_id: str | None = None
    collection: str | None = None
    pseudonym: Annotated[str, Field(max_length=64)] | None = None
    """of an unknown face that was seen before; only there where the device gives pseudonyms"""
    likeness: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """0..100, normalized and calibrated: what decided. similarity and runner_up are cosines"""


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
    attributes: Annotated[tuple[WireAttribute, ...], Field(max_length=32)] = ()
    """of a face; only there where ``recognition.attributes`` of the device names some"""

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
                who.state,
                who.subject,
                who.similarity,
                who.runner_up,
                who.face_id,
                who.collection,
                who.pseudonym,
                who.likeness,
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
            attributes=tuple(FaceAttribute(one.name, one.value, one.score) for one in self.attributes),
        )


_adapters: dict[type, Any] = {}
Document = TypeVar("Document")


def event_json(device: str, queued: Queued, *, with_after: bool = False) -> bytes:
    """The event as JSON. ``with_after`` where a hub acknowledges: it tells gaps from losses."""
    key = {"v": VERSION, "id": f"{device}/{queued.epoch}/{queued.seq}", "device": device}
    document = {**key, "epoch": queued.epoch, "seq": queued.seq, **event_document(queued.event)}
    if with_after:
        document["after"] = queued.after
    return _dump(document)


def to_json(
    document: DeviceStatus
    | Info
    | Recognized
    | CameraPresenceDocument
    | Stats
    | Reported
    | DeliveryMark
    | ErasureNotices
    | Notification,
) -> bytes:
    """A document as JSON. Raises InputError for numbers that are not finite."""
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
        # a name may hold half a surrogate pair; its event must travel anyway
        return text.encode("utf-8", "replace")
    except ValueError as error:
        raise InputError(f"document cannot be written as JSON: {error}", "report this as a bug") from error
