"""A release and a deployment, as they are signed: the same dataclasses and the same bytes on both sides.

A release is immutable and names every file by its digest: whoever trusts the manifest can fetch the files from
anywhere. A deployment says which devices of a group run which release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field

from edge.core.errors import ReleaseError
from edge.releases.shipped import (
    WIRE,
    Blob,
    Forgotten,
    LabelsProbe,
    ModelName,
    Name,
    Probe,
    ProbeBox,
    Segment,
    ShippedCollection,
    ShippedLabels,
    ShippedModel,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = [
    "MOST",
    "Blob",
    "Deployment",
    "Forgotten",
    "LabelsProbe",
    "Probe",
    "ProbeBox",
    "Release",
    "Segment",
    "ShippedCollection",
    "ShippedLabels",
    "ShippedModel",
    "bucket",
    "facts",
    "parse",
    "subject_digest",
    "to_bytes",
]

VERSION: Literal[1] = 1
MOST = 4 << 20
"""bytes of a manifest"""

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Group = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Device = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
V1 = Literal[1]


@dataclass(frozen=True, slots=True)
class Release:
    """Models and collections that belong together and are installed as one."""

    __pydantic_config__ = WIRE
    id: Id
    created: float
    minimum: Annotated[str, Field(pattern=r"^\d+(\.\d+){0,3}$")] = "0.1.0"
    """the oldest edge that can use it"""
    erasure: Annotated[int, Field(ge=0)] = 0
    """how often somebody was forgotten before: a device never goes back to a lower one"""
    models: tuple[ShippedModel, ...] = ()
    replaces: dict[ModelName, ModelName] = field(default_factory=dict)
    """model that settings name -> model of the release that takes its place"""
    labels: dict[str, Name] = field(default_factory=dict)
    """label -> collection that names it"""
    collections: tuple[ShippedCollection, ...] = ()
    custom_labels: tuple[ShippedLabels, ...] = ()
    probes: tuple[Probe, ...] = ()
    taxonomy: Blob | None = None
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
        """sha256 -> bytes of the files that show or name people."""
        pictures = [probe.picture for probe in self.probes]
        pictures += [one.probe.picture for one in self.custom_labels if one.probe.picture]
        found = {one.sha256: one.size for one in pictures}
        return found | {one.sha256: one.size for shipped in self.collections for one in shipped.segments}


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which devices of a group run which release."""

    __pydantic_config__ = WIRE
    group: Group
    number: Annotated[int, Field(ge=1)]
    """grows with every change"""
    release: Id
    base: Id | Literal[""] = ""
    """what everybody else runs; empty: whatever they have"""
    percent: Annotated[float, Field(ge=0, le=100)] = 100.0
    canaries: tuple[Device, ...] = ()
    """devices that take it first, whatever the percentage"""
    pins: dict[Device, Id] = field(default_factory=dict)
    """devices that run a release of their own"""
    hold: bool = False
    """nobody changes anything"""
    v: V1 = VERSION

    def wanted(self, device: str) -> str:
        """The release that ``device`` is to run; empty: the one it has."""
        if self.hold:
            return ""
        if device in self.pins:
            return self.pins[device]
        if device in self.canaries or bucket(self.release, device) < self.percent * 100:
            return self.release
        return self.base


def bucket(release: str, device: str) -> int:
    """0..9999, the same for the same two words: others come first in each rollout."""
    return int.from_bytes(hashlib.sha256(f"{release}:{device}".encode()).digest()[:8], "big") % 10_000


def subject_digest(collection: str, subject: str) -> str:
    """A subject of a collection without its name."""
    return hashlib.sha256(f"{collection}\n{subject}".encode()).hexdigest()


def to_bytes(document: Release | Deployment) -> bytes:
    """The signed bytes: keys sorted, no spaces."""
    return json.dumps(asdict(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


Document = TypeVar("Document", Release, Deployment)


def parse(kind: type[Document], data: bytes) -> Document:
    """A document from its bytes. Raises ReleaseError: it was signed, and yet cannot be understood here."""
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
    """A release in a few words, for people."""
    return {
        "id": release.id,
        "created": release.created,
        "models": [model.name for model in release.models],
        "replaces": dict(release.replaces),
        "collections": {one.name: one.count for one in release.collections},
        "custom_labels": {one.name: one.number for one in release.custom_labels},
        "bytes": sum(release.blobs().values()),
    }
