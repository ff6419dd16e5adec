"""Output of a training besides the evaluation: manifests of the submitted and used entries, and a summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from edge.api.rekognition.custom.lines import shown
from edge.api.rekognition.custom.projects import DatasetEntry, ProjectVersion
from edge.core.storage.buckets import Buckets

RESULTS = (("Training", "TrainingDataResult", "TrainingData"), ("Testing", "TestingDataResult", "TestingData"))
"""name of a part, its member in the response, and in the request"""


def written(
    version: ProjectVersion, buckets: Buckets, given: Sequence[Sequence[DatasetEntry]], used: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Write the manifests and the summary. Returns the members of DescribeProjectVersions with their locations.

    ``given``: entries for training and testing; ``used``: the lines that were used. Raises OSError.
    """
    found: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    for (name, member, asked), entries, lines in zip(RESULTS, given, used, strict=True):
        documents = {
            "Input": [entry.line for entry in entries], "Output": list(lines),
            "Validation": [shown(entry) for entry in entries],
        }  # fmt: skip
        found[member] = {
            kind: _asset(_put(version, buckets, f"{name}{kind}.manifest", text)) for kind, text in documents.items()
        }
        if asked in version.given:
            found[member]["Input"] = version.given[asked]
        statistics[name.lower()] = _statistics(entries, lines)
    summary = json.dumps({"statistics": statistics, "errors": _errors(given)}, indent=1)
    found["ManifestSummary"] = {"S3Object": _put(version, buckets, "ManifestSummary.json", [summary])}
    return found


def _put(version: ProjectVersion, buckets: Buckets, name: str, lines: Sequence[str]) -> dict[str, str]:
    prefix = version.output.get("S3KeyPrefix", "").strip("/")
    bucket, key = version.output["S3Bucket"], f"{prefix}/" * bool(prefix) + f"{version.project}-{version.name}/{name}"
    with buckets.writing(bucket, key) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
    return {"Bucket": bucket, "Name": key}


def _asset(place: dict[str, str]) -> dict[str, Any]:
    return {"Assets": [{"GroundTruthManifest": {"S3Object": place}}]}


def _statistics(entries: Sequence[DatasetEntry], used: Sequence[str]) -> dict[str, Any]:
    bad = sum(bool(entry.error) for entry in entries)
    boxed = any(count for entry in entries for count in entry.labels.values())
    return {
        "use_case": "OBJECT_LOCALIZATION" if boxed else "IMAGE_LEVEL_LABELS",
        "total_json_lines": len(entries),
        "valid_json_lines": len(entries) - bad,
        "invalid_json_lines": bad,
        "used_json_lines": len(used),
    }


def _errors(given: Sequence[Sequence[DatasetEntry]]) -> list[dict[str, str]]:
    messages = dict.fromkeys(entry.error for entries in given for entry in entries if entry.error)
    return [{"code": "ERROR_INVALID_LINE", "message": message} for message in messages]
