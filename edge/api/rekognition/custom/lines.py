"""Parsing of a request's manifest lines into dataset entries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from edge.api.rekognition.custom.projects import DatasetEntry
from edge.core.errors import InputError
from edge.core.storage.buckets import Buckets
from edge.labels import ground_truth, manifests
from edge.labels.examples import Example, is_file_there

MOST_INVALID = manifests.MOST_INVALID


def entries_of(data: bytes, buckets: Buckets) -> list[DatasetEntry]:
    """One entry per line; an invalid line becomes an entry with an error. Blank lines are skipped."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    # not splitlines(), which splits at characters that are valid inside JSON
    return [_entry(line, buckets) for line in text.split("\n") if line.strip()]


def too_many_errors(entries: list[DatasetEntry]) -> str:
    """The error message where more than a fifth of the lines is invalid; otherwise empty."""
    bad = [one for one in entries if one.error]
    if not entries:
        return "The manifest file is empty."
    if len(bad) <= MOST_INVALID * len(entries):
        return ""
    return f"The manifest file contains too many invalid lines ({len(bad)} of {len(entries)}): {bad[0].error}"


def examples_of(entries: Iterator[DatasetEntry], buckets: Buckets) -> list[Example]:
    """The examples of entries without errors."""
    return [ground_truth.parse(one.line, None, buckets) for one in entries if not one.error]


def shown(entry: DatasetEntry) -> str:
    """The line as listed, with the error of an invalid line."""
    if not entry.error:
        return entry.line
    try:
        document = json.loads(entry.line)
    except (ValueError, RecursionError):
        document = {"source-ref": ""}
    if not isinstance(document, dict):
        document = {"source-ref": ""}
    return json.dumps({**document, "errors": [{"code": "ERROR_INVALID_LINE", "message": entry.error}]})


def _entry(line: str, buckets: Buckets) -> DatasetEntry:
    error, source = "", hashlib.sha256(line.encode()).hexdigest()
    labels: dict[str, int] = {}
    try:
        example = ground_truth.parse(line, None, buckets)
        source = example.source
        for mark in example.marks:
            labels[mark.label] = labels.get(mark.label, 0) + (mark.box is not None)
        if not is_file_there(example.path):
            error = "The picture does not exist."
    except InputError as wrong:
        error = wrong.message
    return DatasetEntry(0, source, line, labels, error)
