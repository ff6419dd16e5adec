"""What travels with a release: models, collections, custom labels, and the probes that they must pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

WIRE = ConfigDict(extra="ignore", allow_inf_nan=False, defer_build=True)

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, le=1 << 34)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
LabelsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,255}$")]
FaceId = Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
SpaceName = Annotated[str, Field(min_length=1, max_length=255)]
"""fingerprint of ``edge.core.types.Space``"""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file, by its content."""

    __pydantic_config__ = WIRE
    sha256: Sha
    size: Size


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model: its card, its ``.tflite`` and what else lies beside them."""

    __pydantic_config__ = WIRE
    name: ModelName
    kind: Literal["detector", "embedder", "classifier"]
    files: dict[FileName, Blob]


@dataclass(frozen=True, slots=True)
class Segment:
    """Some faces of a collection (``edge.recognition.store.segments``)."""

    __pydantic_config__ = WIRE
    sha256: Sha
    size: Size
    count: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A subject that is to be forgotten, without naming it."""

    __pydantic_config__ = WIRE
    digest: Sha
    time: float
    """seconds since the epoch; faces enrolled later are another matter"""


@dataclass(frozen=True, slots=True)
class ShippedCollection:
    """A collection: the faces of its segments without those of its tombstones."""

    __pydantic_config__ = WIRE
    name: Name
    space: SpaceName
    dimensions: Annotated[int, Field(ge=1, le=8192)]
    segments: tuple[Segment, ...] = ()
    tombstones: tuple[FaceId, ...] = ()
    forgotten: tuple[Forgotten, ...] = ()

    @property
    def count(self) -> int:
        """Faces, without those of tombstones."""
        return sum(segment.count for segment in self.segments) - len(self.tombstones)


@dataclass(frozen=True, slots=True)
class ProbeBox:
    """What a detector must find in a probe."""

    __pydantic_config__ = WIRE
    label: str
    box: tuple[float, float, float, float]
    """left, top, right, bottom, fractions"""


@dataclass(frozen=True, slots=True)
class Probe:
    """A picture, and what the models of the release make of it where all is well."""

    __pydantic_config__ = WIRE
    picture: Blob
    detector: ModelName
    boxes: tuple[ProbeBox, ...] = ()
    embeddings: dict[ModelName, tuple[float, ...]] = field(default_factory=dict)
    """embedder -> the embedding of the first box"""


@dataclass(frozen=True, slots=True)
class LabelsProbe:
    """What backbone and head make of a picture where all is well."""

    __pydantic_config__ = WIRE
    embedding: tuple[float, ...]
    """of the whole picture"""
    picture: Blob | None = None
    """None: ``edge.release_probes.pattern``, which every device can draw"""
    answers: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = ()
    """labels that are said to be in the picture"""


@dataclass(frozen=True, slots=True)
class ShippedLabels:
    """A version of custom labels: its card, its head, how well it did."""

    __pydantic_config__ = WIRE
    name: LabelsName
    number: Annotated[int, Field(ge=1, lt=10**9)]
    space: SpaceName
    files: dict[FileName, Blob]
    probe: LabelsProbe
