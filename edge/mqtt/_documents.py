"""The documents of a device beside its events; read by pydantic, which also makes their JSON Schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictInt

from edge.core.types import CustomLabel, IdentityState

VERSION = 1

WIRE = ConfigDict(extra="ignore", allow_inf_nan=False, str_max_length=1024, defer_build=True)

Cosine = Annotated[float, Field(ge=-1.001, le=1.001)]
Time = Annotated[float, Field(ge=0.0, le=1e11)]
"""seconds since the epoch"""
Count = Annotated[StrictInt, Field(ge=0, le=2**53)]
V1 = Annotated[StrictInt, Field(ge=1, le=1)]


@dataclass(frozen=True, slots=True)
class Status:
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


def wire_labels(found: Sequence[CustomLabel]) -> tuple[WireCustomLabel, ...]:
    return tuple(WireCustomLabel(one.name[:255], round(one.score, 4), one.version) for one in found)


@dataclass(frozen=True, slots=True)
class Present:
    """A track that is there now."""

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
class State:
    """``up/state/<camera>``, retained: who and what is present now."""

    __pydantic_config__ = WIRE
    camera: str
    status: str
    """of the camera: ``ok``, ``lost``, ``off``"""
    time: Time
    present: tuple[Present, ...] = ()
    counts: dict[str, Count] = field(default_factory=dict)
    """label, custom or not -> tracks"""
    subjects: tuple[str, ...] = ()
    clock: Literal["synced", "unsynced"] = "synced"
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class CameraStats:
    """How one camera does."""

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
    """of the thread that looks, lately"""


@dataclass(frozen=True, slots=True)
class Shed:
    """What a device does without, because it is hot or cannot keep up."""

    __pydantic_config__ = WIRE
    level: Count = 0
    """0: nothing"""
    most: Count = 0
    """the level at which everything is given up that may be; 0 where nothing ever is"""
    what: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """``up/stats``: how the device does."""

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
    """what the board holds back now"""
    shed: Shed = field(default_factory=Shed)
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
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Farewell:
    """Somebody was forgotten."""

    __pydantic_config__ = WIRE
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256, hex, of the device's name, a line feed, and the subject: no name travels"""
    time: Time


@dataclass(frozen=True, slots=True)
class Farewells:
    """``up/forgotten``, retained: who was forgotten on the device lately, so that hubs forget them as well."""

    __pydantic_config__ = WIRE
    forgotten: Annotated[tuple[Farewell, ...], Field(max_length=1000)] = ()
    v: V1 = VERSION


@dataclass(frozen=True, slots=True)
class Mark:
    """``down/ack``: the hub has stored everything of ``epoch`` up to ``seq``."""

    __pydantic_config__ = WIRE
    epoch: Annotated[StrictInt, Field(ge=1, lt=2**31)]
    seq: Count
