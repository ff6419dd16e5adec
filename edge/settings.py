"""Every setting, its default, its unit and its range. ``config/edge.toml`` is written from this file.

Sections are frozen pydantic models; an unknown key is refused. ``edge.config`` reads them from TOML, the
environment and credentials.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

DEVICE_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
NAME = r"^[A-Za-z0-9_.-]{1,255}$"
CAMERA_NAME = r"^[A-Za-z0-9_-]{1,64}$"

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]
Vertex = tuple[Fraction, Fraction]


def _hostname() -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().lower()).strip("-")[:63]
    return name or "edge"


def _zone(polygon: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
    if len(polygon) < 3:
        raise ValueError(f"a zone needs at least 3 corners, got {len(polygon)}")
    (ax, ay), *rest = polygon
    bx, by = max(rest, key=lambda corner: abs(corner[0] - ax) + abs(corner[1] - ay))
    if all(abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) < 1e-6 for x, y in rest):
        raise ValueError("the corners of a zone must not lie on one line")
    return polygon


Zone = Annotated[tuple[Vertex, ...], AfterValidator(_zone)]


class Section(BaseModel):
    """A part of the settings: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Device(Section):
    """[device]: which device this is."""

    name: str = Field(
        default_factory=_hostname,
        pattern=DEVICE_NAME,
        examples=["porch"],
        description="Name of the device in every topic: a-z, 0-9 and '-'. The host name when not set.",
    )


class Models(Section):
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


class Label(Section):
    """[labels.<name>]: one label that matters, and how it is recognised."""

    score: Fraction | None = Field(
        None, examples=[0.6], description="Lowest detector score. The model card's when not set."
    )
    min_size: Fraction = Field(0.0, description="Smallest box height, fraction of the frame.")
    max_size: Fraction = Field(1.0, description="Largest box height, fraction of the frame.")
    embedder: str = Field("", description="Model that embeds this label; empty: detected, not recognised.")
    collection: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,255}$", description="Collection that names it.")
    similarity: float | None = Field(
        None,
        ge=0,
        le=100,
        examples=[85.0],
        description="Similarity 0..100 that makes a match. The model card's when not set.",
    )
    margin: float = Field(0.06, ge=0, le=1, description="Cosine by which the best subject must lead the second best.")

    @model_validator(mode="after")
    def _whole(self) -> Label:
        if bool(self.embedder) != bool(self.collection):
            raise ValueError("embedder and collection go together: set both or neither")
        if self.min_size >= self.max_size:
            raise ValueError(f"min_size {self.min_size} must be below max_size {self.max_size}")
        return self


FACE = Label(embedder="edge-face-embedder-1", collection="faces")


class Camera(Section):
    """[[cameras]]: where frames come from and what is looked for in them."""

    name: str = Field("camera", pattern=CAMERA_NAME, description="Name in topics: letters, digits, '_' and '-'.")
    source: str = Field(
        "auto",
        min_length=1,
        description="auto, picamera2[:N], v4l2:/dev/video0, rtsp://user:password@host/path, video:FILE, "
        "images:FOLDER, synthetic:FOLDER, or module:attribute.",
    )
    enabled: bool = Field(True, description="Off: known, but not opened.")
    detectors: tuple[str, ...] = Field(
        ("edge-face-detector-1",), min_length=1, description="Models that look at each frame."
    )
    labels: tuple[str, ...] = Field((), description="Labels that matter here; empty: all that have a [labels] section.")
    fps: float = Field(5.0, gt=0, le=120, description="Frames a second to look at, at most.")
    width: int = Field(1280, ge=64, le=7680, description="Pixels of the main stream, where the source can choose.")
    height: int = Field(720, ge=64, le=4320, description="Pixels of the main stream, where the source can choose.")
    small_width: int = Field(320, ge=64, le=1920, description="Pixels of picamera2's small stream.")
    small_height: int = Field(240, ge=64, le=1080, description="Pixels of picamera2's small stream.")
    rotation: Literal[0, 90, 180, 270] = Field(0, description="Degrees clockwise that put the picture upright.")
    realtime: bool = Field(True, description="Stored sources: at their own pace; off: as fast as possible.")
    loop: bool = Field(False, description="Stored sources: start again at the end.")
    stall: Seconds = Field(10.0, description="Seconds without a frame after which a live source is reopened.")
    controls: dict[str, float | int | bool | str] = Field(
        {},
        examples=[{"AeEnable": True}],
        description="picamera2 controls, by libcamera's names (AeEnable, Contrast, ...).",
    )
    zones: dict[str, Zone] = Field(
        {},
        examples=[{"mat": ((0.3, 0.7), (0.7, 0.7), (0.5, 1.0))}],
        description="Polygons in fractions of the frame, entered by the bottom centre of a box.",
    )
    required_zones: tuple[str, ...] = Field((), description="Report only tracks that entered one of these zones.")
    motion: bool = Field(True, description="Look only where something moves (and once in a while).")
    weight: float = Field(1.0, gt=0, le=100, description="Share of the inference thread beside other cameras.")
    snapshots: bool = Field(False, description="Publish a picture of each new track. Off: no picture leaves.")

    @model_validator(mode="after")
    def _zones_exist(self) -> Camera:
        missing = [zone for zone in self.required_zones if zone not in self.zones]
        if missing:
            raise ValueError(f"required_zones names {missing[0]!r}, which [cameras.zones] does not have")
        bad = [zone for zone in self.zones if not re.fullmatch(CAMERA_NAME, zone)]
        if bad:
            raise ValueError(f"zone name {bad[0]!r} must be letters, digits, '_' and '-'")
        return self


class Tracking(Section):
    """[tracking]: when detections are the same thing."""

    confirm_seconds: float = Field(0.3, ge=0, description="A track is reported after this long (and 2 detections).")
    lost_seconds: Seconds = Field(2.0, description="A track ends after this long without a detection.")
    zone_seconds: float = Field(0.4, ge=0, description="A zone is entered and left after this long inside and outside.")
    update_seconds: Seconds = Field(60.0, description="An update of a track that does not change, at most this often.")


class Recognition(Section):
    """[recognition]: when an embedding is worth its price, and how votes decide."""

    budget: int = Field(4, ge=1, le=64, description="Embeddings a frame, at most.")
    attempts: int = Field(12, ge=1, le=1000, description="Embeddings a track spends before it rests.")
    refresh_seconds: Seconds = Field(10.0, description="A decided track is looked at again after this long.")
    min_face: int = Field(32, ge=8, le=1000, description="Pixels of the smallest face worth embedding.")
    min_quality: Fraction = Field(0.2, description="Lowest quality of a crop worth embedding.")
    votes: int = Field(2, ge=1, le=20, description="Agreeing votes that make a track known.")


class CollectionSettings(Section):
    """[collection]: how embeddings are searched."""

    index: Literal["auto", "annoy", "exact"] = Field(
        "auto", description="'auto': exact while faces x dimensions <= exact_limit, then annoy."
    )
    exact_limit: int = Field(1_000_000, ge=0, description="Numbers up to which exact search is the faster one.")
    recall: float = Field(0.99, gt=0.5, le=1, description="recall@1 against exact search that an index must reach.")


class Mqtt(Section):
    """[mqtt]: the broker."""

    host: str = Field("", description="Host name or address of the broker; empty: no broker, events stay here.")
    port: int = Field(0, ge=0, le=65535, description="0: 1883, or 8883 with TLS.")
    version: Literal["auto", "5", "3.1.1"] = Field("auto", description="'auto': 5, and 3.1.1 where 5 is refused.")
    username: str = Field("", description="Empty: no user name is sent.")
    password: SecretStr = Field(SecretStr(""), description="Also read from the credential 'mqtt-password'.")
    client_id: str = Field("", max_length=128, description="'edge-<device>' when not set.")
    keepalive: int = Field(30, ge=5, le=3600, description="Seconds; a dead link is noticed within two of them.")
    tls: bool = Field(False, examples=[True], description="Encrypt, and verify the broker's certificate.")
    ca: Path | None = Field(
        None, examples=["/etc/edge/ca.pem"], description="CA certificates; the system's when not set. Needs tls."
    )
    certificate: Path | None = Field(
        None, examples=["/etc/edge/client.pem"], description="Client certificate. Needs tls and key."
    )
    key: Path | None = Field(None, examples=["/etc/edge/client.key"], description="Key of the client certificate.")
    insecure: bool = Field(False, description="Do not check the broker's host name. For tests.")
    reconnect_seconds: Seconds = Field(
        5.0, description="A lost link is tried again after a random part of this; 60 spreads a fleet of hundreds."
    )
    acknowledge: Literal["broker", "hub"] = Field(
        "broker", description="Who must have an event before it leaves the outbox."
    )
    stats_seconds: Seconds = Field(30.0, description="Seconds between two messages of up/stats.")

    @model_validator(mode="after")
    def _tls(self) -> Mqtt:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: set both or neither")
        if not self.tls and (self.ca or self.certificate or self.insecure):
            raise ValueError("ca, certificate, key and insecure need tls = true")
        return self

    @property
    def effective_port(self) -> int:
        return self.port or (8883 if self.tls else 1883)


class Outbox(Section):
    """[outbox]: events that wait for the broker."""

    max_bytes: int = Field(
        256 << 20, ge=1 << 20, description="Bytes on disk; past that the oldest events go, counted and reported."
    )
    commit_seconds: float = Field(
        0.2, ge=0, le=10, description="At most one write in this long; a power cut loses at most its events."
    )
    reserve_bytes: int = Field(
        64 << 20, ge=0, description="Bytes that stay free on the disk: the outbox does not grow into them."
    )
    update_hours: float = Field(
        24.0, gt=0, le=8760, description="An undelivered update that names nobody anew is dropped after this long."
    )


class Commands(Section):
    """[commands]: what may be asked of this device over MQTT."""

    enabled: bool = Field(True, description="Answer commands at all.")
    keys: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")], ...] = Field(
        (),
        description="Ed25519 public keys (base64, from 'edge hub key') whose commands may change something. Without "
        "keys, only ping and stats are answered.",
    )
    signed_seconds: Seconds = Field(3600.0, description="A signature that is valid for longer than this is refused.")


class HomeAssistant(Section):
    """[homeassistant]: entities in Home Assistant by MQTT discovery."""

    enabled: bool = Field(False, description="Announce this device; off again: take the announcement back.")
    prefix: str = Field("homeassistant", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Home Assistant's own prefix.")
    switches: bool = Field(
        False,
        description="Switches for cameras. Home Assistant cannot sign: whoever may write down/cmd/camera can use them.",
    )
    subjects: int = Field(32, ge=0, le=200, description="Entities for the presence of subjects, at most.")


class Frigate(Section):
    """[frigate]: events in the shape of Frigate, for flows and blueprints made for it."""

    enabled: bool = Field(False, description="Publish them, live and at most once, beside our own.")
    prefix: str = Field("frigate", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="First level of the topics.")


class Hub(Section):
    """[hub]: the fleet's side: where events are stored. The broker is that of [mqtt]."""

    database: str = Field(
        "",
        examples=["postgresql://edge:password@db.lan/edge"],
        description="postgresql://..., or the path of an SQLite file. hub.sqlite in the state folder when not set.",
    )
    name: str = Field(
        "1", pattern=r"^[A-Za-z0-9_-]{1,32}$", description="Tells several ingests at one broker apart."
    )
    group: str = Field(
        "edge-hub",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="Shared subscription of several ingests; empty: not shared, for brokers that cannot.",
    )
    session_seconds: int = Field(
        60, ge=0, le=86400, description="The broker keeps what is for an ingest that is away for this long."
    )
    keep_days: float = Field(0.0, ge=0, le=36500, description="Events older than this are deleted; 0: never.")
    key: Path | None = Field(
        None, examples=["/etc/edge/hub.key"], description="Private key that signs commands ('edge hub key')."
    )
    repository: Path | None = Field(
        None,
        examples=["/srv/edge"],
        description="Folder of the releases; its 'public' is what a web server serves. 'hub' in the state folder when "
        "not set.",
    )


class Sync(Section):
    """[sync]: releases over the air ('edge sync'). The README tells how: Releases over the air."""

    url: str = Field(
        "",
        pattern=r"^(https?://.+)?$",
        examples=["https://releases.example.org/edge"],
        description="Where the hub's 'public' folder is served; empty: no releases.",
    )
    root: Path | None = Field(
        None,
        examples=["/etc/edge/root.json"],
        description="The hub's first root.json, brought here by hand: the anchor of all trust.",
    )
    group: str = Field("all", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Group of devices this one is in.")
    interval: Seconds = Field(3600.0, description="'edge sync --watch': seconds between two looks, give or take 20 %.")
    rate: int = Field(0, ge=0, description="Bytes a second that a download may take; 0: as many as there are.")
    reserve_bytes: int = Field(256 << 20, ge=0, description="Bytes that a release leaves free on the disk.")
    max_bytes: int = Field(2 << 30, ge=1 << 20, description="Bytes that one release may have.")
    probation: Seconds = Field(600.0, description="Seconds that a new release is watched before it counts as good.")
    trust_clock: bool = Field(
        False, description="Take the clock for right although systemd-timesyncd does not say so (a board with an RTC)."
    )

    @model_validator(mode="after")
    def _anchored(self) -> Sync:
        if self.url and self.root is None:
            raise ValueError("url needs root: the hub's first root.json")
        return self


def _key_pairs(value: object) -> object:
    """A credential holds ``ID SECRET`` a line; TOML and the environment hold a table."""
    if not isinstance(value, str):
        return value
    lines = [line.split() for line in value.splitlines() if line.strip()]
    if any(len(line) != 2 for line in lines):
        raise ValueError("expected lines of an access key id, a space and its secret")
    return {line[0]: line[1] for line in lines}


class Api(Section):
    """[api]: the Rekognition endpoint."""

    enabled: bool = Field(False, description="Serve Amazon Rekognition's protocol from inside the daemon.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8480, ge=0, le=65535, description="0: any free one.")
    keys: Annotated[dict[str, SecretStr], BeforeValidator(_key_pairs)] = Field(
        {},
        examples=[{"AKIDEXAMPLE": "a long secret"}],
        description="Access key id -> secret. With keys, only signed requests are answered. Credential: 'api-keys'.",
    )
    unsigned_anywhere: bool = Field(
        False, description="Without keys, listen on other addresses than loopback all the same: anybody there may ask."
    )
    clock_skew: Seconds = Field(
        900.0, description="Seconds a signature's time may be off; more for boards without RTC."
    )
    region: str = Field("local", pattern=r"^[a-z][a-z\d-]{0,31}$", description="Region in ARNs of unsigned requests.")
    account: str = Field("000000000000", pattern=r"^\d{12}$", description="Account in ARNs.")
    label: str = Field("face", description="The label that face operations look for; it has a [labels] section.")
    detectors: tuple[str, ...] = Field((), description="Detectors to use. All that the cameras use when not set.")
    embedder: str = Field("", description="Embedder of the face operations. The label's when not set.")
    taxonomy: Path | None = Field(
        None,
        examples=["/etc/edge/taxonomy.json"],
        description="Names, parents and categories of labels. Our own when not set.",
    )
    buckets: dict[str, Path] = Field(
        {}, examples=[{"photos": "/srv/photos"}], description="S3 bucket -> the folder that stands for it."
    )
    queue: int = Field(8, ge=1, le=1000, description="Requests with pictures that wait; more are told to come back.")
    share: float = Field(0.5, gt=0, le=1, description="Share of one core that its models may take beside cameras.")
    max_faces: int = Field(1_000_000, ge=1, description="Faces of one collection, at most.")
    records: Literal["all", "faces", "change"] = Field(
        "faces", description="Face search records to publish: each frame's, those with faces, those that differ."
    )


class Page(Section):
    """[page]: the status page and /metrics, served by the endpoint of [api] inside the daemon."""

    enabled: bool = Field(True, description="Serve them, where api.enabled is true.")
    token: SecretStr = Field(
        SecretStr(""),
        description="What another machine's browser logs in with; empty: this machine alone. Credential: 'page-token'.",
    )
    hosts: tuple[str, ...] = Field(
        (),
        examples=[("porch.example.org",)],
        description="More names that the page is asked for by. Addresses, the device's name and NAME.local are known.",
    )
    fps: float = Field(5.0, gt=0, le=30, description="Pictures a second of a live view, at most.")
    width: int = Field(960, ge=160, le=3840, description="Pixels of a live picture's width, at most.")


class Review(Section):
    """[review]: doubtful matches, kept on the device until a person answers ('edge review')."""

    enabled: bool = Field(False, description="Keep the embedding of doubtful tracks. Off: nothing is kept.")
    crops: bool = Field(False, description="Keep their pictures as well. Off: no picture is kept.")
    most: int = Field(500, ge=1, le=100_000, description="Doubts kept at most; the oldest go.")
    days: float = Field(30.0, gt=0, le=3650, description="Doubts and answers older than this are deleted.")
    quality: Fraction = Field(0.5, description="Quality of a crop from which an unknown face is worth a question.")
    audit: int = Field(0, ge=0, description="Every n-th known track is asked about as well, as a sample; 0: none.")


class Log(Section):
    """[log]: what the daemon says."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is written.")
    repeat_seconds: float = Field(
        60.0, ge=0, description="The same line is written once in this long, then with a count; 0: every time."
    )


class Settings(Section):
    """All settings. See ``config/edge.toml``."""

    state: Path | None = Field(
        None,
        examples=["/var/lib/edge"],
        description="Folder of all state; $STATE_DIRECTORY or the XDG state folder when not set.",
    )
    device: Device = Device()
    models: Models = Models()
    cameras: tuple[Camera, ...] = Field(
        (Camera(),),
        examples=[({"name": "door", "source": "rtsp://user:password@192.0.2.10/stream", "fps": 2.0},)],
        description="The cameras; one with source 'auto' when not set.",
    )
    labels: dict[str, Label] = Field(
        {"face": FACE},
        examples=[{"person": {"score": 0.5, "min_size": 0.2}}],
        description="The labels that matter, by name; faces when not set. A label without embedder is only detected.",
    )
    tracking: Tracking = Tracking()
    recognition: Recognition = Recognition()
    collection: CollectionSettings = CollectionSettings()
    mqtt: Mqtt = Mqtt()
    outbox: Outbox = Outbox()
    commands: Commands = Commands()
    homeassistant: HomeAssistant = HomeAssistant()
    frigate: Frigate = Frigate()
    hub: Hub = Hub()
    sync: Sync = Sync()
    api: Api = Api()
    page: Page = Page()
    review: Review = Review()
    log: Log = Log()

    @field_validator("labels", mode="before")
    @classmethod
    def _faces_stay_recognised(cls, labels: object) -> object:
        """A [labels.face] that sets a threshold alone keeps the embedder and the collection of the default."""
        face = labels.get("face") if isinstance(labels, dict) else None
        if not isinstance(labels, dict) or not isinstance(face, dict):
            return labels
        return {**labels, "face": {"embedder": FACE.embedder, "collection": FACE.collection, **face}}

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        names = [camera.name for camera in self.cameras]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two cameras are named {sorted(twice)[0]!r}")
        for camera in self.cameras:
            unknown = [label for label in camera.labels if label not in self.labels]
            if unknown:
                raise ValueError(f"camera {camera.name!r} wants label {unknown[0]!r}, which has no [labels] section")
        return self

    def labels_of(self, camera: Camera) -> dict[str, Label]:
        """The labels that matter to a camera."""
        return {name: self.labels[name] for name in camera.labels} if camera.labels else dict(self.labels)
