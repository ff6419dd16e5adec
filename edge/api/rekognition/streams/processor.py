"""Definition of a stream processor, and validation of the requests that create one. No I/O."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.streams import regions
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.labels.classifier import labels_of

FACE_THRESHOLD = 80.0
"""minimum FaceMatchThreshold; lower values are raised to it"""
HOME_CONFIDENCE = 50.0
HOME_LABELS = {"PERSON": ("person",), "PET": ("cat", "dog"), "PACKAGE": ("package", "parcel", "box")}
"""ConnectedHome label -> labels of detectors"""

Status = Literal["STOPPED", "STARTING", "RUNNING", "FAILED", "STOPPING", "UPDATING"]

_STREAM = re.compile(r".*:stream/([A-Za-z0-9_-]+)(?:/\d+)?")


@dataclass(frozen=True)
class Processor:
    """A stream processor. ``request``: members of CreateStreamProcessor, including later updates."""

    name: str
    camera: str
    request: Mapping[str, Any]
    status: Status = "STOPPED"
    message: str = ""
    created: float = 0.0
    updated: float = 0.0
    """seconds since the epoch"""
    session: str = ""
    """session id of the latest start"""
    start: Mapping[str, Any] = field(default_factory=dict)
    """StartStreamProcessor request of the latest start"""

    @property
    def searches_faces(self) -> bool:
        """Whether it searches faces; otherwise it detects labels."""
        return "FaceSearch" in self.request["Settings"]

    @property
    def running(self) -> bool:
        return self.status in ("STARTING", "RUNNING")

    @property
    def collection(self) -> str:
        """Collection id of a face search processor."""
        return str(self.request["Settings"]["FaceSearch"]["CollectionId"])

    @property
    def threshold(self) -> float:
        """FaceMatchThreshold of a face search processor, 80..100."""
        return float(self.request["Settings"]["FaceSearch"]["FaceMatchThreshold"])

    @property
    def stream(self) -> str:
        """The ARN of the camera's video stream."""
        return str(self.request["Input"]["KinesisVideoStream"]["Arn"])

    @property
    def document(self) -> dict[str, Any]:
        return asdict(self)

    def now(self, **changes: Any) -> Processor:
        """A copy with changes, updated now."""
        return replace(self, updated=time.time(), **changes)


def home_classes(processor: Processor, seen: Mapping[str, Any]) -> dict[str, str]:
    """Detector label -> PERSON, PET or PACKAGE, for requested classes with a label in ``seen``."""
    wanted = set(processor.request["Settings"]["ConnectedHome"]["Labels"])
    names = HOME_LABELS if "ALL" in wanted else {name: HOME_LABELS[name] for name in wanted if name in HOME_LABELS}
    return {label: name for name, labels in names.items() for label in labels if label in seen}


def looked_for(camera: CameraSettings, settings: Settings, state: Path) -> dict[str, Any]:
    """Labels that a camera may report: of detectors, and custom labels."""
    return {**settings.labels_of(camera), **dict.fromkeys(labels_of(camera, state))}


def made(request: Mapping[str, Any], settings: Settings, state: Path) -> Processor:
    """The processor for a CreateStreamProcessor request. Raises ApiError."""
    camera = _camera(request, settings)
    wanted = request["Settings"]
    if len(wanted) != 1:
        raise _refused("Settings: expected exactly one of FaceSearch, ConnectedHome")
    if "FaceSearch" in wanted:
        _check_face_search(request)
        threshold = max(FACE_THRESHOLD, wanted["FaceSearch"].get("FaceMatchThreshold", 0.0))
        request = {**request, "Settings": {"FaceSearch": {**wanted["FaceSearch"], "FaceMatchThreshold": threshold}}}
    now = time.time()
    processor = Processor(request["Name"], camera.name, request, created=now, updated=now)
    if "ConnectedHome" in wanted:
        _check_home(request)
        check_labels(processor, settings, state)
    return processor


def check_labels(processor: Processor, settings: Settings, state: Path) -> None:
    """Raises ApiError for a label that is unknown, or that the camera does not detect."""
    camera = next(one for one in settings.cameras if one.name == processor.camera)
    seen = looked_for(camera, settings, state)
    wanted = processor.request["Settings"]["ConnectedHome"]["Labels"]
    offered = set(home_classes(processor, seen).values()) | ({"ALL"} if home_classes(processor, seen) else set())
    lacking = [name for name in wanted if name not in offered]
    if lacking:
        raise _refused(
            f"Labels: {lacking[0][:40]} is not among what camera {camera.name} looks for ({', '.join(seen)}); "
            "PERSON needs a label person, PET cat or dog, PACKAGE package or parcel"
        )


def check_regions(given: list[Mapping[str, Any]]) -> None:
    """Raises ApiError."""
    if wrong := regions.problem(given):
        raise _refused(f"RegionsOfInterest: {wrong}")


def _check_face_search(request: Mapping[str, Any]) -> None:
    if "CollectionId" not in request["Settings"]["FaceSearch"]:
        raise _refused("Settings.FaceSearch.CollectionId: expected a value, it is required")
    if "Arn" not in request["Output"].get("KinesisDataStream", {}):
        raise _refused("Output: a face search processor needs KinesisDataStream")
    for name in ("RegionsOfInterest", "KmsKeyId"):
        if request.get(name):
            raise _refused(f"{name}: not for face search processors")


def _check_home(request: Mapping[str, Any]) -> None:
    if "Bucket" not in request["Output"].get("S3Destination", {}):
        raise _refused("Output: a label detection processor needs S3Destination with its Bucket")
    if "NotificationChannel" not in request:
        raise _refused("NotificationChannel: a label detection processor needs one")
    check_regions(request.get("RegionsOfInterest", []))


def _camera(request: Mapping[str, Any], settings: Settings) -> CameraSettings:
    arn = request["Input"].get("KinesisVideoStream", {}).get("Arn", "")
    match = _STREAM.fullmatch(arn)
    name = settings.api.streams.get(match[1], match[1]) if match else ""
    camera = next((camera for camera in settings.cameras if camera.name == name and camera.enabled), None)
    if camera is None:
        known = ", ".join(camera.name for camera in settings.cameras if camera.enabled)
        raise _refused(
            f"Input: expected the ARN of a stream/<camera> of this device ({known}), or of a stream in api.streams"
        )
    return camera


def _refused(text: str) -> ApiError:
    return ApiError("InvalidParameterException", f"Request has invalid parameters. {text}.")
