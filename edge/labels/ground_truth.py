"""Ground Truth manifests: one JSON line per picture, as written by Amazon SageMaker Ground Truth.

A line is ``{"source-ref": ..., "<attribute>": ..., "<attribute>-metadata": {"type": ...}}``, whole-image labels as
``groundtruth/image-classification`` and boxes in pixels as ``groundtruth/object-detection``. A ``source-ref`` is a
path relative to the manifest, or ``s3://bucket/key`` with the bucket mapped to a folder. Attributes that Rekognition
adds to a manifest when it evaluates a version are predictions and are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge.core.errors import InputError, NotFoundError
from edge.core.storage.buckets import Buckets
from edge.labels.examples import Annotation, Example, box_of, label_name

LONGEST_SOURCE = 4096
"""maximum characters of a source-ref"""
MOST_LINE = 1 << 20
"""maximum characters of one line"""
NOWHERE = Path()
"""path of a missing picture"""
PREDICTIONS = "rekognition-custom-labels-"
"""prefix of the attributes that an evaluation adds"""


def line(example: Example, size: tuple[int, int], job: str = "edge", when: float | None = None) -> str:
    """A manifest line for AWS tools. ``size``: width and height, pixels; ``when``: seconds since the epoch."""
    moment = datetime.fromtimestamp(when, timezone.utc) if when is not None else datetime.now(timezone.utc)
    common = {"human-annotated": "yes", "creation-date": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"), "job-name": job}
    document: dict[str, Any] = {"source-ref": example.source or str(example.path)}
    boxed = [mark for mark in example.marks if mark.box is not None]
    if boxed:
        document["boxes"], document["boxes-metadata"] = _boxes(boxed, size, common)
    for number, mark in enumerate(mark for mark in example.marks if mark.box is None):
        metadata = {"class-name": mark.label, "confidence": 1, "type": "groundtruth/image-classification", **common}
        document[f"label-{number}"], document[f"label-{number}-metadata"] = number, metadata
    return json.dumps(document, ensure_ascii=False)


def parse(text: str, base: Path | None, buckets: Buckets) -> Example:
    """Parse one manifest line; ``base`` and ``buckets`` as in ``located``. Raises InputError."""
    if len(text) > MOST_LINE:
        raise InputError(f"expected at most {MOST_LINE} characters", code="manifest")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {str(error)[:100]}", code="manifest") from error
    if not isinstance(document, dict) or not isinstance(document.get("source-ref"), str):
        raise InputError("expected an object with a source-ref", code="manifest")
    marks: list[Annotation] = []
    unread: list[str] = []
    for name, metadata in document.items():
        if name.startswith(PREDICTIONS):
            continue
        kind = metadata.get("type") if name.endswith("-metadata") and isinstance(metadata, dict) else None
        if kind == "groundtruth/image-classification":
            marks.append(Annotation(label_name(metadata.get("class-name"))))
        elif kind == "groundtruth/object-detection":
            marks += _marks(document.get(name.removesuffix("-metadata")), metadata)
        elif isinstance(kind, str) and kind.startswith("groundtruth/"):
            unread.append(kind[:100])
    if unread and not marks:
        raise InputError(
            f"type {unread[0]!r}: expected groundtruth/image-classification or groundtruth/object-detection",
            "convert the manifest, with one class-name per label", code="manifest",
        )  # fmt: skip
    path = located(document["source-ref"], base, buckets)
    return Example(path, tuple(dict.fromkeys(marks)), document["source-ref"])


def located(source: str, base: Path | None, buckets: Buckets) -> Path:
    """The file of a ``source-ref``; NOWHERE if it is missing or outside its bucket.

    ``base``: folder of relative paths; None: only buckets are allowed. Raises InputError.
    """
    if "\0" in source or len(source) > LONGEST_SOURCE:
        raise InputError("source-ref is too long, or holds a zero character", code="manifest")
    if not source.startswith("s3://"):
        return NOWHERE if base is None else base / source.removeprefix("file://")
    bucket, _, key = source.removeprefix("s3://").partition("/")
    if not buckets.has(bucket):
        raise InputError(f"bucket {bucket[:64]!r} is unknown: [api.buckets] maps buckets to folders", code="manifest")
    try:
        return buckets.path(bucket, key)
    except (NotFoundError, OSError):
        return NOWHERE


def _marks(value: Any, metadata: Mapping[str, Any]) -> list[Annotation]:
    try:
        size, names = value["image_size"][0], metadata["class-map"]
        width, height = float(size["width"]), float(size["height"])
        found = []
        for one in value["annotations"]:
            left, top = float(one["left"]) / width, float(one["top"]) / height
            right, bottom = left + float(one["width"]) / width, top + float(one["height"]) / height
            found.append(Annotation(label_name(names[str(one["class_id"])]), box_of(left, top, right, bottom)))
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"its boxes cannot be read ({type(error).__name__}: {error})", code="manifest") from error
    return found


def _boxes(
    marks: Sequence[Annotation], size: tuple[int, int], common: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    width, height = size
    names = list(dict.fromkeys(mark.label for mark in marks))
    boxes = [(names.index(mark.label), mark.box) for mark in marks if mark.box is not None]
    annotations = [
        {"class_id": number, "left": round(box.left * width), "top": round(box.top * height),
         "width": max(1, round(box.width * width)), "height": max(1, round(box.height * height))}
        for number, box in boxes
    ]  # fmt: skip
    value = {"image_size": [{"width": width, "height": height, "depth": 3}], "annotations": annotations}
    metadata = {
        "objects": [{"confidence": 1} for _ in boxes],
        "class-map": {str(number): name for number, name in enumerate(names)},
        "type": "groundtruth/object-detection",
        **common,
    }
    return value, metadata
