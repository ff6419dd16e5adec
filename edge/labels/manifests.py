"""Examples: a folder a label, a Ground Truth manifest (JSON lines), or CSV.

A manifest's line is ``{"source-ref": ..., "<attribute>": ..., "<attribute>-metadata": {"type": ...}}``, whole-image
labels as ``groundtruth/image-classification`` and boxes in pixels as ``groundtruth/object-detection``, as Amazon
SageMaker Ground Truth writes them. A ``source-ref`` is a path beside the manifest, or ``s3://bucket/key`` where the
bucket stands for a folder.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.errors import InputError
from edge.types import Box

LONGEST_LABEL = 255
MOST_LABELS = 250
"""a dataset of Rekognition has no more either"""
MOST_EXAMPLES = 100_000
LONGEST_SOURCE = 4096
"""characters of a source-ref"""
MOST_LINE = 1 << 20
"""characters of one line"""
MOST_INVALID = 0.2
"""share of lines that may be unusable"""
NEGATIVE = "_negative"
"""name of the folder, or the label in CSV, of pictures that show none of the labels"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A label of a whole picture, or of a box in it."""

    label: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and what it shows. No marks: none of the labels."""

    path: Path
    marks: tuple[Mark, ...] = ()
    source: str = ""
    """as the manifest names it"""

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(mark.label for mark in self.marks)

    @property
    def boxed(self) -> bool:
        return any(mark.box is not None for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Read:
    """What a source of examples held."""

    examples: tuple[Example, ...]
    problems: tuple[str, ...] = ()
    """lines that could not be used, each with its place"""


def read(source: Path, buckets: Mapping[str, Path] | None = None) -> Read:
    """The examples of a folder, a manifest or a CSV file. Raises InputError where too little of it can be used."""
    if source.is_dir():
        found = Read(tuple(_of_folder(source)))
    elif source.is_file():
        found = _of_lines(source, buckets or {})
    else:
        raise InputError(f"{source}: there is no such file or folder", "check the path", code="unreadable")
    return checked(found, str(source))


def checked(found: Read, where: str) -> Read:
    """``found`` itself. Raises InputError for nothing, too many unusable lines, or too many labels or examples."""
    total = len(found.examples) + len(found.problems)
    if found.problems and len(found.problems) > MOST_INVALID * total:
        shown = "\n  ".join(found.problems[:5])
        raise InputError(
            f"{where}: {len(found.problems)} of {total} lines cannot be used, more than {MOST_INVALID:.0%}:\n  {shown}",
            "correct the lines named above",
            code="manifest",
        )
    if not found.examples:
        raise InputError(f"{where}: holds no examples", "give it a folder of pictures for each label", code="empty")
    if len(found.examples) > MOST_EXAMPLES:
        raise InputError(f"{where}: expected at most {MOST_EXAMPLES} examples", "train with fewer", code="too_many")
    count = len({label for example in found.examples for label in example.labels})
    if count > MOST_LABELS:
        raise InputError(f"{where}: expected at most {MOST_LABELS} labels, got {count}", "split them", code="too_many")
    return found


def line(example: Example, size: tuple[int, int], job: str = "edge", when: float | None = None) -> str:
    """A manifest line that AWS tools read. ``size``: width and height of the picture, pixels."""
    moment = datetime.fromtimestamp(when, UTC) if when is not None else datetime.now(UTC)
    common = {"human-annotated": "yes", "creation-date": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"), "job-name": job}
    document: dict[str, Any] = {"source-ref": example.source or str(example.path)}
    boxed = [mark for mark in example.marks if mark.box is not None]
    if boxed:
        document["boxes"], document["boxes-metadata"] = _boxes(boxed, size, common)
    for number, mark in enumerate(mark for mark in example.marks if mark.box is None):
        metadata = {"class-name": mark.label, "confidence": 1, "type": "groundtruth/image-classification", **common}
        document[f"label-{number}"], document[f"label-{number}-metadata"] = number, metadata
    return json.dumps(document, ensure_ascii=False)


def parse(text: str, base: Path, buckets: Mapping[str, Path]) -> Example:
    """One manifest line. Raises InputError."""
    if len(text) > MOST_LINE:
        raise InputError(f"expected at most {MOST_LINE} characters", code="manifest")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {str(error)[:100]}", code="manifest") from error
    if not isinstance(document, dict) or not isinstance(document.get("source-ref"), str):
        raise InputError("expected an object with a source-ref", code="manifest")
    marks: list[Mark] = []
    for name, metadata in document.items():
        kind = metadata.get("type") if name.endswith("-metadata") and isinstance(metadata, dict) else None
        if kind == "groundtruth/image-classification":
            marks.append(Mark(label_name(metadata.get("class-name"))))
        elif kind == "groundtruth/object-detection":
            marks += _marks(document.get(name.removesuffix("-metadata")), metadata)
    path = located(document["source-ref"], base, buckets)
    return Example(path, tuple(dict.fromkeys(marks)), document["source-ref"])


def located(source: str, base: Path, buckets: Mapping[str, Path]) -> Path:
    """The file of a ``source-ref``. Raises InputError for a bucket that stands for no folder, or a way out of it."""
    if "\0" in source or len(source) > LONGEST_SOURCE:
        raise InputError("source-ref is too long, or holds a zero character", code="manifest")
    if not source.startswith("s3://"):
        return base / source.removeprefix("file://")
    bucket, _, key = source.removeprefix("s3://").partition("/")
    if bucket not in buckets:
        raise InputError(f"bucket {bucket[:64]!r} stands for no folder: [api.buckets] tells", code="manifest")
    path = Path(os.path.realpath(buckets[bucket] / key))
    if not path.is_relative_to(os.path.realpath(buckets[bucket])):
        raise InputError("source-ref leads out of its bucket", code="manifest")
    return path


def is_file_there(path: Path) -> bool:
    """Whether a file is there; a name that no file system takes is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def label_name(value: object) -> str:
    """Raises InputError for what is no name of a label."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_LABEL and value.isprintable():
        return value
    raise InputError(f"expected a label of 1 to {LONGEST_LABEL} printable characters", code="label")


def _of_folder(folder: Path) -> Iterator[Example]:
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        marks = () if below.name == NEGATIVE else (Mark(label_name(below.name)),)
        for file in sorted(path for path in below.rglob("*") if path.is_file() and not path.name.startswith(".")):
            yield Example(file, marks, str(file.relative_to(folder)))


def _of_lines(file: Path, buckets: Mapping[str, Path]) -> Read:
    examples: list[Example] = []
    problems: list[str] = []
    parsed = _csv_rows(file) if file.suffix.lower() == ".csv" else _manifest_rows(file, buckets)
    for number, one in parsed:
        if isinstance(one, InputError):
            problems.append(f"{file.name}:{number}: {one.message}")
        elif not is_file_there(one.path):
            problems.append(f"{file.name}:{number}: there is no picture {one.source[:200]}")
        else:
            examples.append(one)
        if len(examples) + len(problems) > MOST_EXAMPLES:
            break
    return Read(tuple(_merged(examples)), tuple(problems))


def _manifest_rows(file: Path, buckets: Mapping[str, Path]) -> Iterator[tuple[int, Example | InputError]]:
    for number, text in _lines(file):
        try:
            yield number, parse(text, file.parent, buckets)
        except InputError as error:
            yield number, error


def _csv_rows(file: Path) -> Iterator[tuple[int, Example | InputError]]:
    """``picture,label`` or ``picture,label,left,top,right,bottom`` (fractions); a header is passed."""
    rows = ((number, next(csv.reader([text]), [])) for number, text in _lines(file))
    for number, row in rows:
        if number == 1 and row[:2] in (["picture", "label"], ["path", "label"]):
            continue
        try:
            yield number, _row(row, file.parent)
        except (InputError, ValueError) as error:
            wrong = error if isinstance(error, InputError) else InputError("expected numbers after the label")
            yield number, wrong


def _row(row: Sequence[str], base: Path) -> Example:
    if len(row) not in (2, 6):
        raise InputError(f"expected picture,label or picture,label,left,top,right,bottom, got {len(row)} columns")
    path = located(row[0], base, {})
    if row[1] in ("", NEGATIVE):
        return Example(path, (), row[0])
    box = _box(*(float(value) for value in row[2:])) if len(row) == 6 else None
    return Example(path, (Mark(label_name(row[1]), box),), row[0])


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            number = 0
            while text := lines.readline(MOST_LINE + 2):
                number += 1
                if text.strip():
                    yield number, text.rstrip("\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}", "check its owner", code="unreadable") from error


def _merged(examples: Iterable[Example]) -> list[Example]:
    """One example a picture: several lines of one picture are several marks of it."""
    merged: dict[Path, Example] = {}
    for one in examples:
        before = merged.get(one.path)
        marks = one.marks if before is None else tuple(dict.fromkeys((*before.marks, *one.marks)))
        merged[one.path] = Example(one.path, marks, one.source)
    return list(merged.values())


def _marks(value: Any, metadata: Mapping[str, Any]) -> list[Mark]:
    try:
        size, names = value["image_size"][0], metadata["class-map"]
        width, height = float(size["width"]), float(size["height"])
        found = []
        for one in value["annotations"]:
            left, top = float(one["left"]) / width, float(one["top"]) / height
            right, bottom = left + float(one["width"]) / width, top + float(one["height"]) / height
            found.append(Mark(label_name(names[str(one["class_id"])]), _box(left, top, right, bottom)))
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"its boxes cannot be read ({type(error).__name__}: {error})", code="manifest") from error
    return found


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise InputError("a box is not finite", code="manifest")
    box = Box(left, top, right, bottom).clipped()
    if left >= right or top >= bottom or box.area <= 0:
        raise InputError("a box is empty, or outside the picture", code="manifest")
    return box


def _boxes(
    marks: Sequence[Mark], size: tuple[int, int], common: Mapping[str, str]
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
