"""Settings of what is looked at and how it is recognized."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from edge.core.settings.address import SecretAddress
from edge.core.settings.base import CAMERA_NAME, DEVICE_NAME, VERSION, Fraction, Seconds, Section

Vertex = tuple[Fraction, Fraction]


def _hostname() -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")[:63]
    return name or "edge"


def _polygon(polygon: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
    if len(polygon) < 3:
        raise ValueError(f"a zone or mask needs at least 3 corners, got {len(polygon)}")
    (ax, ay), *rest = polygon
    bx, by = max(rest, key=lambda corner: abs(corner[0] - ax) + abs(corner[1] - ay))
    if all(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) < 1e-6 for x, y in rest):
        raise ValueError("the corners of a zone or mask must not lie on one line")
    return polygon


ZoneSettings = Annotated[tuple[Vertex, ...], AfterValidator(_polygon)]
MaskSettings = ZoneSettings


class DeviceSettings(Section):
    """[device]: which device this is."""

    name: str = Field(
        default_factory=_hostname,
        pattern=DEVICE_NAME,
        examples=["porch"],
        description="Name of the device in every topic: a-z, 0-9 and '-'. The host name when not set.",
    )


class ModelSettings(Section):
    """[models]: where models are and what runs them."""

    path: tuple[Path, ...] = Field(
        (), description="More folders to look for models in, before the state folder's and the package's own."
    )
    runtime: Literal["auto", "litert", "tflite-runtime"] = Field(
        "auto", description="'auto' takes litert where it is installed, else tflite-runtime."
    )
    threads: int = Field(2, ge=1, le=16, description="Threads of one interpreter.")
    delegate: str = Field(
        "", description="Path of a delegate library (libedgetpu.so.1, say). Falls back to the CPU and says so."
    )
    check: bool = Field(True, description="Try each model in a child process before the daemon loads it.")


class LabelSettings(Section):
    """[labels.<name>]: one label that matters, and how it is recognized."""

    score: Fraction | None = Field(
        None, examples=[0.6], description="Lowest detector score. The model card's when not set."
    )
    min_size: Fraction = Field(0.0, description="Smallest box height, fraction of the frame.")
    max_size: Fraction = Field(1.0, description="Largest box height, fraction of the frame.")
    embedder: str = Field("", description="Model that embeds this label; empty: detected, not recognized.")
    collection: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,255}$", description="Collection that names it.")
    similarity: float | None = Field(
        None,
        ge=0,
        le=100,
        examples=[85.0],
        description="Likeness 0..100 that makes a match. When not set, recognition.false_names decides.",
    )
    margin: float = Field(0.06, ge=0, le=1, description="Cosine by which the best subject must lead the second best.")

    @model_validator(mode="after")
    def _whole(self) -> LabelSettings:
        if bool(self.embedder) != bool(self.collection):
            raise ValueError("embedder and collection go together: set both or neither")
        if self.min_size >= self.max_size:
            raise ValueError(f"min_size {self.min_size} must be below max_size {self.max_size}")
        return self


FACE = LabelSettings(embedder="edge-face-embedder-1", collection="faces")


class CameraSettings(Section):
    """[[cameras]]: where frames come from and what is looked for in them."""

    name: str = Field("camera", pattern=CAMERA_NAME, description="Name in topics: letters, digits, '_' and '-'.")
    source: SecretAddress = Field(
        SecretAddress("auto"),
        min_length=1,
        description="auto, picamera2[:N], v4l2:/dev/video0, rtsp://user:password@host/path (or rtsps://, http://, "
        "https://), video:FILE, images:FOLDER, synthetic:FOLDER, or module:attribute.",
    )
    enabled: bool = Field(True, description="Off: known, but not opened.")
    detectors: tuple[str, ...] = Field(
        ("edge-face-detector-2",),
        description="Models that look at each frame; none where custom labels of whole pictures are enough.",
    )
    labels: tuple[str, ...] = Field((), description="Labels that matter here; empty: all that have a [labels] section.")
    custom_labels: tuple[Annotated[str, Field(pattern=VERSION)], ...] = Field(
        (),
        examples=[("helmets", "yard/3")],
        description="Custom labels to tell here ('edge labels train'): a name for its version in use, or name/number.",
    )
    fps: float = Field(5.0, gt=0, le=120, description="Frames a second to look at, at most.")
    width: int = Field(1280, ge=64, le=7680, description="Pixels of the main stream, where the source can choose.")
    height: int = Field(720, ge=64, le=4320, description="Pixels of the main stream, where the source can choose.")
    small_width: int = Field(320, ge=64, le=1920, description="Pixels of picamera2's small stream.")
    small_height: int = Field(240, ge=64, le=1080, description="Pixels of picamera2's small stream.")
    rotation: Literal[0, 90, 180, 270] = Field(0, description="Degrees clockwise that put the picture upright.")
    realtime: bool = Field(True, description="Stored sources: at their own pace; off: as fast as possible.")
    loop: bool = Field(False, description="Stored sources: start again at the end.")
    stall: Seconds = Field(10.0, description="Seconds without a packet after which a live source is reopened.")
    transport: Literal["auto", "tcp", "udp", "http"] = Field(
        "auto", description="Of RTSP. 'auto': TCP, and UDP where the camera refuses it; 'http': tunneled."
    )
    tls_verify: bool = Field(
        True, description="Verify the certificate of rtsps:// and https://. Off: encrypted for whoever answers."
    )
    tls_ca: Path | None = Field(
        None,
        examples=["/etc/edge/camera-ca.pem"],
        description="CA certificates of rtsps:// and https://; the system's when not set.",
    )
    controls: dict[str, float | int | bool | str] = Field(
        {},
        examples=[{"AeEnable": True}],
        description="picamera2 controls, by libcamera's names (AeEnable, Contrast, ...).",
    )
    zones: dict[str, ZoneSettings] = Field(
        {},
        examples=[{"mat": ((0.3, 0.7), (0.7, 0.7), (0.5, 1.0))}],
        description="Polygons in fractions of the frame, entered by the bottom center of a box.",
    )
    masks: dict[str, MaskSettings] = Field(
        {},
        examples=[{"tv": ((0.6, 0.1), (0.9, 0.1), (0.9, 0.4), (0.6, 0.4))}],
        description="Polygons in fractions of the frame that are ignored: motion in them, and what is detected with "
        "the center of its box in one. Custom labels of the whole picture see them.",
    )
    required_zones: tuple[str, ...] = Field((), description="Report only tracks that entered one of these zones.")
    motion: bool = Field(True, description="Look only where something moves (and once in a while).")
    tiles: int = Field(
        0, ge=0, le=64, description="Small things in large pictures: parts to look at closer, where something moves."
    )
    weight: float = Field(1.0, gt=0, le=100, description="Share of the inference thread beside other cameras.")
    snapshots: bool = Field(False, description="Publish a picture of each new track. Off: no picture leaves.")

    @model_validator(mode="after")
    def _looks_for_something(self) -> CameraSettings:
        if not self.detectors and not self.custom_labels:
            raise ValueError("detectors is empty: name one, or custom_labels")
        return self

    @model_validator(mode="after")
    def _zones_exist(self) -> CameraSettings:
        missing = [zone for zone in self.required_zones if zone not in self.zones]
        if missing:
            raise ValueError(f"required_zones names {missing[0]!r}, which [cameras.zones] does not have")
        for kind, names in (("zone", self.zones), ("mask", self.masks)):
            bad = [name for name in names if not re.fullmatch(CAMERA_NAME, name)]
            if bad:
                raise ValueError(f"{kind} name {bad[0]!r} must be letters, digits, '_' and '-'")
        return self


class TrackingSettings(Section):
    """[tracking]: when detections are the same thing."""

    confirm_seconds: float = Field(0.3, ge=0, description="A track is reported after this long (and 2 detections).")
    lost_seconds: Seconds = Field(2.0, description="A track ends after this long without a detection.")
    zone_seconds: float = Field(0.4, ge=0, description="A zone is entered and left after this long inside and outside.")
    update_seconds: Seconds = Field(60.0, description="An update of a track that does not change, at most this often.")


EventAttribute = Literal[
    "age_range", "beard", "emotions", "eyeglasses", "eyes_open", "face_occluded", "gender", "mouth_open", "mustache",
    "smile", "sunglasses",
]  # fmt: skip


class RecognitionSettings(Section):
    """[recognition]: when an embedding is worth its price, and how votes decide."""

    budget: int = Field(4, ge=1, le=64, description="Embeddings a frame, at most.")
    attempts: int = Field(12, ge=1, le=1000, description="Embeddings a track spends before it rests.")
    refresh_seconds: Seconds = Field(10.0, description="A decided track is looked at again after this long.")
    min_face: int = Field(32, ge=8, le=1000, description="Pixels of the smallest face worth embedding.")
    min_quality: Fraction | None = Field(
        None, examples=[0.3], description="Lowest quality of a crop worth embedding. The model card's when not set."
    )
    false_names: float = Field(
        0.001,
        gt=0,
        le=0.5,
        description="Share of strangers that may be given a name; what a match must reach grows with the collection.",
    )
    votes: int = Field(2, ge=1, le=20, description="Good looks for a subject that make a track known, at least.")
    doubtful_names: bool = Field(
        False, description="Events of uncertain and retracted tracks carry the subject in doubt. Else only known do."
    )
    attributes: tuple[EventAttribute, ...] = Field(
        (),
        examples=[("sunglasses", "face_occluded")],
        description="Attributes of faces that events carry: a model more runs at each better look. None when empty.",
    )
    attribute_model: str = Field("edge-face-attributes-1", description="Model that tells them.")
    text_recognizer: str = Field("edge-text-recognizer-1", description="Model that recognizes words of the label text.")
    picture_seconds: Seconds = Field(
        1.0, description="Minimum seconds between two classifications of a whole picture by custom labels."
    )


class SheddingSettings(Section):
    """[shedding]: load shedding when the board is hot or cannot keep up. The order is fixed; see systemd/README.md."""

    enabled: bool = Field(True, description="Off: a board that gets hot is left to its own means.")
    latency: Seconds = Field(1.0, description="Seconds from exposure to outbox that a frame may take.")
    temperature: float = Field(
        80.0, ge=0, le=120, description="Degrees Celsius from which on work is given up, where the board tells."
    )
    cooler: float = Field(6.0, ge=1, le=50, description="Degrees below that before any of it is taken up again.")
    worsen_seconds: Seconds = Field(5.0, description="Pressure that lasts this long costs one more step.")
    recover_seconds: Seconds = Field(30.0, description="Room to spare for this long takes a step back.")
    board: Path = Field(Path("/sys"), description="Where the kernel shows temperature and throttling.")


class CollectionSettings(Section):
    """[collection]: how embeddings are searched."""

    index: Literal["auto", "annoy", "exact"] = Field(
        "auto", description="'auto': exact while faces x dimensions <= exact_limit, then annoy."
    )
    exact_limit: int = Field(1_500_000, ge=0, description="Numbers up to which exact search is the faster one.")
    recall: float = Field(0.99, gt=0.5, le=1, description="recall@1 against exact search that an index must reach.")
