"""Domain types of the package, as dataclasses with units.

frame       one picture of a camera at one moment
detection   a box with a label and a score, found by a detector in one frame
track       the same thing followed over the frames of one camera
embedding   a vector that tells one subject from another, of unit length
match       a face of a collection beside its similarity to an embedding
collection  faces of one embedding space, by subject
subject     whoever or whatever a face is of: the name in a collection
face        an entry of a collection: one embedding with its FaceId
event       what is reported of a track: ``new``, ``update`` or ``end``
release     models and collections that belong together and are installed as one

Coordinates are fractions of the frame, 0..1, origin top left, x to the right and y down. Pixels exist only
where a picture is cut. Similarity is a cosine, -1..1. Durations are monotonic seconds; ``time`` is wall time,
seconds since the epoch, and only a label.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edge.core.compat import StrEnum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    ByteArray = NDArray[np.uint8]

Layout = Literal["rgb", "bgr", "i420"]


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the frame, fractions; may lie outside 0..1 where a model extrapolates."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in fractions of the frame: ``left <= right``, ``top <= bottom``."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> Point:
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2)

    @property
    def bottom_center(self) -> Point:
        """The bottom center: the point that enters a zone."""
        return Point((self.left + self.right) / 2, self.bottom)

    @property
    def corners(self) -> tuple[Point, Point, Point, Point]:
        """The corners, clockwise from the top left."""
        return (
            Point(self.left, self.top), Point(self.right, self.top),
            Point(self.right, self.bottom), Point(self.left, self.bottom),
        )  # fmt: skip

    def intersection(self, other: Box) -> float:
        """The common area, fraction of the frame."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        common = self.intersection(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0

    def held_by(self, other: Box) -> float:
        """The share of this box that lies inside ``other``, 0..1."""
        return self.intersection(other) / self.area if self.area > 0 else 0.0

    def clipped(self) -> Box:
        """The part inside the frame; may be empty."""

        def clip(value: float) -> float:
            return min(1.0, max(0.0, value))

        return Box(clip(self.left), clip(self.top), clip(self.right), clip(self.bottom))


WHOLE = Box(0.0, 0.0, 1.0, 1.0)
"""all of a picture"""


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as a source delivers them; ``edge.core.imaging.image`` converts and cuts."""

    data: ByteArray
    """``rgb`` and ``bgr``: (height, width, 3). ``i420``: (height * 3 // 2, stride), stride >= width,
    the Y plane above the U and V planes, each row of U and V ``stride // 2`` bytes."""
    layout: Layout
    width: int
    """pixels, without padding"""
    height: int
    """pixels"""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a camera at one moment."""

    camera: str
    sequence: int
    """counts up by one for each frame the source produced, dropped ones included"""
    monotonic: float
    """seconds of ``time.monotonic()`` at exposure, or at arrival where the source does not tell"""
    time: float
    """seconds since the epoch"""
    main: Picture
    """the full picture: crops are cut from it"""
    small: Picture | None = None
    """the same moment, smaller, where the source offers it: motion and detection look at it"""
    video_time: float | None = None
    """seconds from the start of a stored video; None for live sources"""
    cut: bool = False
    """stored videos: another shot, or the video once more, has begun since the frame before"""


@dataclass(frozen=True, slots=True)
class Detection:
    """A box with a label and a score."""

    label: str
    score: float
    """0..1"""
    box: Box
    landmarks: tuple[Point, ...] = ()
    """Faces: image-left eye, image-right eye, nose, image-left and image-right mouth corner. Else empty."""


MODEL_DIGITS = 16
"""hex digits of a model's sha256 in the fingerprint of a space"""


@dataclass(frozen=True, slots=True)
class Space:
    """What makes embeddings comparable: the model file, the runtime that ran it, and our preprocessing."""

    model: str
    """sha256 of the model file, hex"""
    runtime: str
    """``litert`` or ``tflite-runtime``"""
    preprocessing: int
    """``edge.inference.preprocess.VERSION``"""
    dimensions: int

    @property
    def fingerprint(self) -> str:
        """The same string for the same space, stored with every face."""
        return f"{self.model[:MODEL_DIGITS]}/{self.runtime}/p{self.preprocessing}/{self.dimensions}"


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of a crop, and whether it is worth embedding."""

    score: float
    """0 (useless) .. 1 (frontal, sharp, large)"""
    reason: str = ""
    """empty when worth embedding, else a code: ``too_small``, ``blurred``, ``turned_away``, ``cut_off``, ``dark``"""
    size: float = 0.0
    """pixels, the shorter side of the box in the main picture"""
    sharpness: float = 0.0
    """0..100"""
    brightness: float = 0.0
    """0..100"""
    yaw: float = 0.0
    """degrees, estimated from the landmarks; 0 without landmarks"""
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, slots=True)
class Embedding:
    """A unit vector in a space, with the quality of the crop it was made from."""

    vector: FloatArray
    """(dimensions,) float32, length 1"""
    space: Space
    quality: Quality


@dataclass(frozen=True, slots=True)
class Face:
    """An entry of a collection. The embedding itself stays in the store."""

    face_id: str
    """UUID, deterministic: the same face of the same image has the same id in every collection of its space"""
    collection: str
    subject: str | None
    """None: known by its FaceId alone"""
    image_id: str = ""
    external_image_id: str | None = None
    box: Box | None = None
    confidence: float = 0.0
    """the detector's score, 0..1"""
    quality: float = 0.0
    """0..1"""
    created: float = 0.0
    """seconds since the epoch"""
    origin: str = "device"
    """``device`` (enrolled here), or ``hub`` (came with a release)"""


@dataclass(frozen=True, slots=True)
class Match:
    """A face of a collection beside its similarity to a query."""

    face_id: str
    subject: str | None
    similarity: float
    """cosine, -1..1"""
    likeness: float = 0.0
    """0..100, normalized and calibrated: what decides. ``SubjectSearch`` sets it; 0 before"""

    @property
    def name(self) -> str:
        """The subject, or the FaceId of a face that has none."""
        return self.subject or self.face_id


class IdentityState(StrEnum):
    """State of the identity of a track."""

    PENDING = "pending"
    KNOWN = "known"
    UNCERTAIN = "uncertain"
    UNKNOWN = "unknown"
    RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity of a track, by its votes."""

    state: IdentityState = IdentityState.PENDING
    subject: str | None = None
    """set when ``known``; when ``uncertain`` or ``retracted`` the name in doubt"""
    similarity: float | None = None
    """cosine of the best vote for ``subject``"""
    runner_up: float | None = None
    """cosine of the best vote for anybody else"""
    face_id: str | None = None
    collection: str | None = None
    pseudonym: str | None = None
    """``unknown-7``: an ``unknown`` face that was seen before, where the settings want strangers to be known again"""
    likeness: float | None = None
    """0..100, normalized and calibrated, beside ``similarity``: what decided"""


@dataclass(frozen=True, slots=True)
class CustomLabel:
    """A label that a version of custom labels gives to a track or a whole picture."""

    name: str
    score: float
    """probability, 0..1"""
    version: str
    """name and number of the version: ``helmets/3``"""


@dataclass(frozen=True, slots=True)
class FaceAttribute:
    """What the best look at a face says of it."""

    name: str
    """as ``recognition.attributes`` has it: ``smile``"""
    value: str
    """``yes`` or ``no``; of gender ``male`` or ``female``, of age_range ``25-40``, of emotions the first: ``happy``"""
    score: float
    """probability of ``value``, 0..1; of age_range 0: not known"""


@dataclass(slots=True)
class Track:
    """The same thing followed over the frames of one camera. The tracker and the votes change it in place."""

    id: str
    """unique on the device: ``<epoch>-<number>``"""
    camera: str
    label: str
    box: Box
    score: float
    """of the latest detection, 0..1"""
    started: float
    """monotonic seconds of the first detection"""
    seen: float
    """monotonic seconds of the latest detection"""
    started_time: float
    """seconds since the epoch"""
    seen_time: float
    hits: int = 1
    """detections so far"""
    top_score: float = 0.0
    landmarks: tuple[Point, ...] = ()
    confirmed: bool = False
    """seen often enough to be reported"""
    holder: str | None = None
    """id of the person's track whose box holds this face"""
    identity: Identity = field(default_factory=Identity)
    custom_labels: tuple[CustomLabel, ...] = ()
    """by version, at most one of each that tells regions apart"""
    attributes: tuple[FaceAttribute, ...] = ()
    """of a face, where ``recognition.attributes`` names some"""
    text: str = ""
    """of a word, where the label is ``text``; empty: not recognized yet"""
    whole: bool = False
    """it is a custom label of the picture as a whole, followed like a thing; ``box`` is the whole frame"""
    zones: frozenset[str] = frozenset()
    path: list[Point] = field(default_factory=list)
    """bottom centers, oldest first, bounded"""
    resting: bool = False
    """not detected in the latest look, but standing still: its place looks as it did"""
    mingled: float | None = None
    """monotonic seconds when it last touched another track or came out of hiding: it may have changed hands then"""


EventType = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True)
class Event:
    """A reported change of a track. The outbox assigns sequence, epoch and id."""

    type: EventType
    camera: str
    track: str
    label: str
    score: float
    box: Box
    identity: Identity
    zones: tuple[str, ...]
    time: float
    """seconds since the epoch, of the frame"""
    started: float
    ended: float | None = None
    clock: Literal["synced", "unsynced"] = "synced"
    release: str = ""
    reason: str = ""
    """why a track ended: ``left``, ``restart``, ``stopped``; empty otherwise"""
    video_time: float | None = None
    custom_labels: tuple[CustomLabel, ...] = ()
    whole: bool = False
    """it is of the picture as a whole, not of a place in it"""
    attributes: tuple[FaceAttribute, ...] = ()
    text: str = ""
    """of a word, where the label is ``text``"""


@dataclass(frozen=True, slots=True)
class Queued:
    """An event as the outbox holds it. (device, epoch, seq) is its key for ever."""

    position: int
    """order in the outbox; grows"""
    epoch: int
    """1 .. 2**31 - 1, random, made with the outbox file; another one for events that never reached the disk"""
    seq: int
    """grows within the epoch, with gaps"""
    after: int
    """seq of the event before it that is still in the outbox, 0 when none: nothing between the two is to come"""
    event: Event

    @property
    def key(self) -> tuple[int, int]:
        return self.epoch, self.seq
