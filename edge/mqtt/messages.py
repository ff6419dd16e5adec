"""MQTT messages: events and documents as JSON.

Events are serialized by hand (for speed) and parsed by pydantic (as untrusted input; the same types generate the
JSON Schema). Numbers are rounded: fractions and similarities to 4 digits, times to milliseconds. Receivers ignore
unknown fields, so that fields can be added; ``v`` changes when the meaning of a field changes.
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
"""maximum characters of a notification's picture"""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """``up/status``, retained, and the will: whether the device is online."""

    __pydantic_config__ = WIRE
    online: StrictBool
    session: Count
    """of the daemon; ``online: false`` of an older session than the latest ``online: true`` is stale"""
    reason: str = ""
    """why it is offline: ``stopped``, or ``lost`` in the will"""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Info:
    """``up/info``, retained: hardware and software of the device."""

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
    """active versions of custom labels: ``helmets/3``"""
    models: dict[str, str] = field(default_factory=dict)
    """name -> sha256"""
    capabilities: tuple[str, ...] = ()
    acknowledge: Literal["broker", "hub"] = "broker"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class WireCustomLabel:
    """A custom label of a track, or of the whole picture."""

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
    """whether it is a custom label of the whole picture"""


@dataclass(frozen=True, slots=True)
class CameraPresenceDocument:
    """``up/state/<camera>``, retained: present tracks of a camera."""

    __pydantic_config__ = WIRE
    camera: str
    status: str
    """status of the camera: ``ok``, ``lost``, ``off``"""
    time: Time
    present: tuple[PresenceEntry, ...] = ()
    counts: dict[str, Count] = field(default_factory=dict)
    """label, custom or not -> tracks"""
    subjects: tuple[str, ...] = ()
    clock: Literal["synced", "unsynced"] = "synced"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Recognized:
    """``up/recognized/<camera>``: a subject was recognized, once per track."""

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
    """``up/notification/<camera>``, and the body of a webhook: a subject or object is at a camera, once per track."""

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
    """of a recurring stranger"""
    likeness: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """0..100"""
    zones: tuple[str, ...] = ()
    custom_labels: tuple[WireCustomLabel, ...] = ()
    clock: Literal["synced", "unsynced"] = "synced"
    page: str = ""
    """address of the page; empty where other machines cannot reach it"""
    picture: Annotated[str, Field(max_length=MAX_PICTURE)] | None = None
    """JPEG in base64"""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class CameraStats:
    """Statistics of one camera."""

    __pydantic_config__ = WIRE
    status: str = ""
    fps: float = 0.0
    """recent frames per second, including frames without enabled detection"""
    frames: Count = 0
    dropped: Count = 0
    looks: float = 0.0
    """recent frames per second passed to a detector"""
    wanted: float = 0.0
    """configured frames per second"""
    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """share of the inference thread, recently"""


@dataclass(frozen=True, slots=True)
class ShedReport:
    """Load shedding of a device that is hot or cannot keep up."""

    __pydantic_config__ = WIRE
    level: Count = 0
    """0: nothing"""
    most: Count = 0
    """the level at which everything that may be shed is shed; 0 where shedding is disabled"""
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
    review: dict[str, Count] = field(default_factory=dict)
    """``waiting`` questions and the ``newest`` id, where the device shares them with the hub"""
    clock: Literal["synced", "unsynced"] = "synced"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Reported:
    """``up/reported``, retained: the running release and the progress of an update."""

    __pydantic_config__ = WIRE
    release: str
    phase: Literal["idle", "downloading", "verifying", "staged", "probation", "committed", "failed", "rolled_back"] = (
        "idle"
    )
    desired: str = ""
    progress: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    error: str = ""
    group: str = ""
    """of the device, from ``sync.group``"""
    expiring: dict[str, str] = field(default_factory=dict)
    """roles of the release repository whose signatures expire soon: role -> YYYY-MM-DD"""
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class ErasureNotice:
    """An erased subject."""

    __pydantic_config__ = WIRE
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """hex SHA-256 of the device's name, a line feed, and the subject; the name is not sent"""
    time: Time
    epoch: Annotated[StrictInt, Field(ge=0, lt=2**31)] = 0
    """of the device's latest event at that time; 0: unknown"""
    seq: Count = 0
    """of the device's latest event at that time: events up to it are older, whatever the clocks show"""
    clock: Literal["synced", "unsynced"] = "synced"
    """whether the device's clock was synchronized at that time"""


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
    if event.text:
        document["text"] = event.text
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
"""maximum bytes of an event; typical events are below 1 kB"""
MAX_DOCUMENT = 256 << 10
"""maximum bytes of any other document"""

Fraction = Annotated[float, Field(ge=-10.0, le=10.0)]
"""fractions of the frame; boxes may extend beyond it"""
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
    """of a recurring unknown face; only where the device assigns pseudonyms"""
    likeness: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """decisive score 0..100, normalized and calibrated; similarity and runner_up are cosines"""


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
    """seq of the previous event that can still arrive, 0 for none; sent where a hub acknowledges"""
    custom_labels: Annotated[tuple[WireCustomLabel, ...], Field(max_length=64)] = ()
    whole: StrictBool = False
    """whether it is about the whole picture: ``box`` is the whole frame"""
    attributes: Annotated[tuple[WireAttribute, ...], Field(max_length=32)] = ()
    """of a face; only where ``recognition.attributes`` of the device is set"""
    text: Annotated[str, Field(max_length=64)] = ""
    """of a word, where the label is ``text``"""

    @property
    def event(self) -> Event:
        """The event of the device, up to rounding."""
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
            text=self.text,
            attributes=tuple(FaceAttribute(one.name, one.value, one.score) for one in self.attributes),
        )


_adapters: dict[type, Any] = {}
Document = TypeVar("Document")


def event_json(device: str, queued: Queued, *, with_after: bool = False) -> bytes:
    """The event as JSON. ``with_after`` where a hub acknowledges: it distinguishes gaps from losses."""
    key = {"v": VERSION, "id": f"{device}/{queued.epoch}/{queued.seq}", "device": device}
    document = {**key, "epoch": queued.epoch, "seq": queued.seq, **event_document(queued.event)}
    if with_after:
        document["after"] = queued.after
    return _dump(document)


def mark_json(epoch: int, seq: int) -> bytes:
    """``to_json(DeliveryMark(epoch, seq))``, for an ingest that publishes thousands per second."""
    return b'{"epoch":%d,"seq":%d}' % (epoch, seq)


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
    """Parse an untrusted document. Raises InputError with the field and the violated rule."""
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
    """The parser of a document, and the source of its JSON Schema."""
    from pydantic import TypeAdapter

    found: TypeAdapter[Document] | None = _adapters.get(kind)
    if found is None:
        found = _adapters[kind] = TypeAdapter(kind)
    return found


def _dump(document: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        # a name may contain a lone surrogate; its event must be sent anyway
        return text.encode("utf-8", "replace")
    except ValueError as error:
        raise InputError(f"document cannot be written as JSON: {error}", "report this as a bug") from error
