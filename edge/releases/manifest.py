"""Releases and deployments as signed documents: hub and device use the same dataclasses and the same bytes.

A release is immutable and refers to every file by its digest: with a trusted manifest, the files can be downloaded from
any server. A deployment assigns releases to the devices of a group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field

from edge.core.errors import ReleaseError

if TYPE_CHECKING:
    from pydantic import TypeAdapter


WIRE = ConfigDict(extra="ignore", allow_inf_nan=False, defer_build=True)

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=1 << 34)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
LabelsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
SubjectName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,255}$")]
FaceId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
SpaceName = Annotated[str, Field(min_length=1, max_length=255)]
"""fingerprint of ``edge.core.types.Space``"""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file, identified by its digest."""

    __pydantic_config__ = WIRE
    sha256: Sha
    size: Size


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model: its card, its ``.tflite`` and its additional files."""

    __pydantic_config__ = WIRE
    name: ModelName
    kind: Literal["detector", "embedder", "classifier", "attributes", "recognizer"]
    files: dict[FileName, Blob]


@dataclass(frozen=True, slots=True)
class Segment:
    """Some faces of a collection (``edge.recognition.store.segments``)."""

    __pydantic_config__ = WIRE
    sha256: Sha
    size: Size
    count: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class ErasedSubject:
    """An erased subject, as a digest."""

    __pydantic_config__ = WIRE
    digest: Sha
    time: float
    """seconds since the epoch; faces enrolled later are not affected"""


@dataclass(frozen=True, slots=True)
class ShippedCollection:
    """A collection: the faces of its segments without those of its tombstones."""

    __pydantic_config__ = WIRE
    name: SubjectName
    space: SpaceName
    dimensions: Annotated[int, Field(ge=1, le=8192)]
    segments: tuple[Segment, ...] = ()
    tombstones: tuple[FaceId, ...] = ()
    forgotten: tuple[ErasedSubject, ...] = ()

    @property
    def count(self) -> int:
        """Number of faces, without those of tombstones."""
        return sum(segment.count for segment in self.segments) - len(self.tombstones)


@dataclass(frozen=True, slots=True)
class ProbeBox:
    """A box that a detector must find in a probe."""

    __pydantic_config__ = WIRE
    label: str
    box: tuple[float, float, float, float]
    """left, top, right, bottom as fractions of the picture"""


@dataclass(frozen=True, slots=True)
class Probe:
    """A picture, and the expected results of the release's models."""

    __pydantic_config__ = WIRE
    picture: Blob
    detector: ModelName
    boxes: tuple[ProbeBox, ...] = ()
    embeddings: dict[ModelName, tuple[float, ...]] = field(default_factory=dict)
    """embedder -> the embedding of the first box"""


@dataclass(frozen=True, slots=True)
class LabelsProbe:
    """Expected results of backbone and head for a picture."""

    __pydantic_config__ = WIRE
    embedding: tuple[float, ...]
    """of the whole picture"""
    picture: Blob | None = None
    """None: the generated picture ``edge.releases.label_verification.pattern``"""
    answers: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = ()
    """labels expected in the picture"""


@dataclass(frozen=True, slots=True)
class ShippedLabels:
    """A version of custom labels: its card, its head, its evaluation."""

    __pydantic_config__ = WIRE
    name: LabelsName
    number: Annotated[int, Field(ge=1, lt=10**9)]
    space: SpaceName
    files: dict[FileName, Blob]
    probe: LabelsProbe


@dataclass(frozen=True, slots=True)
class ReleaseSealing:
    """How a release is sealed (``edge.releases.sealing``)."""

    __pydantic_config__ = WIRE
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """id of the fleet's key"""
    manifest: Blob | None = None
    """the sealed manifest; set in the public document"""
    files: dict[Sha, Blob] = field(default_factory=dict)
    """sha256 of each private file -> sealed file; set in the sealed document"""


VERSION: Literal[1] = 1
MOST = 4 << 20
"""maximum bytes of a manifest"""

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Group = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Device = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
V1 = Literal[1]


@dataclass(frozen=True, slots=True)
class Release:
    """Models and collections that are installed together."""

    __pydantic_config__ = WIRE
    id: Id
    created: float
    minimum: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d{1,9}){0,3}$")] = "0.1.0"
    """the oldest supported version of edge"""
    erasure: Annotated[int, Field(ge=0)] = 0
    """number of erasures before it; a device never installs a release with a lower one"""
    models: tuple[ShippedModel, ...] = ()
    replaces: dict[ModelName, ModelName] = field(default_factory=dict)
    """model in the settings -> model of the release that replaces it"""
    labels: dict[str, SubjectName] = field(default_factory=dict)
    """label -> collection that recognizes it"""
    collections: tuple[ShippedCollection, ...] = ()
    custom_labels: tuple[ShippedLabels, ...] = ()
    probes: tuple[Probe, ...] = ()
    taxonomy: Blob | None = None
    sealing: ReleaseSealing | None = None
    v: V1 = VERSION

    def blobs(self) -> dict[str, int]:
        """sha256 -> bytes of every file of the release."""
        files = [blob for folder in self.folders().values() for blob in folder.values()]
        files += [self.taxonomy] if self.taxonomy else []
        return {blob.sha256: blob.size for blob in files} | self.private()

    def folders(self) -> dict[str, dict[str, Blob]]:
        """Folder below that of the release -> its files."""
        models = {f"models/{model.name}": dict(model.files) for model in self.models}
        return models | {f"labels/{one.name}/{one.number}": dict(one.files) for one in self.custom_labels}

    def private(self) -> dict[str, int]:
        """sha256 -> bytes of the files with names or pictures of people."""
        pictures = [probe.picture for probe in self.probes]
        pictures += [one.probe.picture for one in self.custom_labels if one.probe.picture]
        found = {one.sha256: one.size for one in pictures}
        return found | {one.sha256: one.size for shipped in self.collections for one in shipped.segments}


@dataclass(frozen=True, slots=True)
class Deployment:
    """Assignment of releases to the devices of a group."""

    __pydantic_config__ = WIRE
    group: Group
    number: Annotated[int, Field(ge=1)]
    """increases with every change"""
    release: Id
    base: Id | Literal[""] = ""
    """release of all other devices; empty: no change"""
    percent: Annotated[float, Field(ge=0, le=100)] = 100.0
    canaries: tuple[Device, ...] = ()
    """canary devices, regardless of the percentage"""
    pins: dict[Device, Id] = field(default_factory=dict)
    """device -> release, independent of the rollout"""
    hold: bool = False
    """the rollout is paused"""
    v: V1 = VERSION

    def wanted(self, device: str) -> str:
        """The release assigned to ``device``; empty: no change."""
        if self.hold:
            return ""
        if device in self.pins:
            return self.pins[device]
        if device in self.canaries or bucket(self.release, device) < self.percent * 100:
            return self.release
        return self.base


def bucket(release: str, device: str) -> int:
    """0..9999, deterministic, so that each rollout starts with other devices."""
    return int.from_bytes(hashlib.sha256(f"{release}:{device}".encode()).digest()[:8], "big") % 10_000


def subject_digest(collection: str, subject: str) -> str:
    """Digest that identifies a subject of a collection without its name."""
    return hashlib.sha256(f"{collection}\n{subject}".encode()).hexdigest()


def to_bytes(document: Release | Deployment) -> bytes:
    """The signed bytes: keys sorted, no spaces."""
    return json.dumps(asdict(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


Document = TypeVar("Document", Release, Deployment)


def parse(kind: type[Document], data: bytes) -> Document:
    """Parse a document. Raises ReleaseError where a signed document is invalid."""
    from pydantic import ValidationError

    try:
        document: Document = _adapter(kind).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ReleaseError(
            f"{kind.__name__.lower()}: {where}: {first['msg']}"[:300], "update edge on this device, or publish it again"
        ) from error
    return document


_adapters: dict[type, Any] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]  # type: ignore[no-any-return]


def facts(release: Release) -> Mapping[str, object]:
    """A summary of a release."""
    return {
        "id": release.id,
        "created": release.created,
        "models": [model.name for model in release.models],
        "replaces": dict(release.replaces),
        "collections": {one.name: one.count for one in release.collections},
        "custom_labels": {one.name: one.number for one in release.custom_labels},
        "bytes": sum(release.blobs().values()),
    }
