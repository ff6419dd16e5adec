"""Custom labels: versions of a project, from training to the labels of a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.custom import arns
from edge.api.rekognition.custom.lines import entries_of, examples_of, too_many_errors
from edge.api.rekognition.custom.projects import new_version
from edge.api.rekognition.custom.training import head_name, summary_key
from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.images import s3_object, unreadable
from edge.core.errors import NotFoundError
from edge.core.storage.buckets import is_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.api.rekognition.call import Call
    from edge.api.rekognition.custom.projects import ProjectVersion
    from edge.labels.examples import Example

PAGE = 100
PATIENCE = 2.0
"""seconds to wait for the training of a few pictures: waiters ask at once, and then only after two minutes"""


def create_project_version(call: Call) -> dict[str, Any]:
    project, output = arns.project(call), call["OutputConfig"]
    learn, test = _datasets(call, project.name)
    if not learn:
        raise ApiError("InvalidParameterException", "Request has invalid parameters. The train dataset has no entries.")
    version = new_version(
        project, call["VersionName"], description=call.get("VersionDescription", ""), output=dict(output)
    )
    if not (call.service.buckets.has(output.get("S3Bucket", "")) and is_key(summary_key(version))):
        raise unreadable()
    call.service.projects.create_version(version)
    arn = arns.of_version(call, version)
    call.service.training.start(version, arn, learn, test).join(PATIENCE)
    return {"ProjectVersionArn": arn}


def describe_project_versions(call: Call) -> dict[str, Any]:
    project, names, size = arns.project(call), call.get("VersionNames"), call.get("MaxResults", PAGE)
    found = [one for one in call.service.projects.versions(project.name) if names is None or one.name in names]
    start = call.offset()
    answer: dict[str, Any] = {
        "ProjectVersionDescriptions": [_described(call, one) for one in found[start : start + size]]
    }
    if len(found) > start + size:
        answer["NextToken"] = call.next_token(str(start + size))
    return answer


def start_project_version(call: Call) -> dict[str, Any]:
    version = _in(call, ("TRAINING_COMPLETED", "STOPPED"), "started")
    units = call["MinInferenceUnits"]
    call.service.projects.save_version(replace(version, status="RUNNING", inference_units=units))
    return {"Status": "STARTING"}


def stop_project_version(call: Call) -> dict[str, Any]:
    version = _in(call, ("RUNNING",), "stopped")
    call.service.projects.save_version(replace(version, status="STOPPED"))
    return {"Status": "STOPPING"}


def delete_project_version(call: Call) -> dict[str, Any]:
    version = _in(call, ("TRAINING_COMPLETED", "TRAINING_FAILED", "STOPPED"), "deleted")
    call.service.projects.delete_version(version)
    if version.head:
        try:
            heads = call.service.training.heads
            heads.delete(heads.version(head_name(version.project), version.head))
        except NotFoundError:
            pass  # somebody emptied the state folder: there is nothing to delete
    return {"Status": "DELETING"}


def detect_custom_labels(call: Call) -> dict[str, Any]:
    version = arns.version(call)
    least = call.get("MinConfidence")
    if version.status != "RUNNING":
        raise ApiError("ResourceNotReadyException", "The version of the project is not running.")
    _, picture = call.service.image(call["Image"])
    found = call.service.training.predict(version, picture, None if least is None else least / 100)
    labels = [
        {
            "Name": one.label,
            "Confidence": shapes.percent(one.probability),
            **({"Geometry": {"BoundingBox": shapes.box(one.box)}} if one.box is not None else {}),
        }
        for one in found
    ]
    return {"CustomLabels": labels[: call.get("MaxResults", len(labels))]}


def _datasets(call: Call, project: str) -> tuple[list[Example], list[Example]]:
    """The examples to learn from and to test with: of the request's manifests, or else of the project's datasets."""
    buckets = call.service.buckets
    datasets = {one.kind: one for one in call.service.projects.datasets(project)}
    given = call.get("TrainingData")
    if given is None and call.get("TestingData") is None:
        found = {kind: examples_of(call.service.projects.entries(one), buckets) for kind, one in datasets.items()}
        return found.get("train", []), found.get("test", [])
    if given is None or datasets:
        raise ApiError(
            "InvalidParameterException",
            "Request has invalid parameters. TrainingData and TestingData: both, for a project without datasets.",
        )
    return _assets(call, given), _assets(call, call.get("TestingData", {}))


def _assets(call: Call, data: Mapping[str, Any]) -> list[Example]:
    buckets = call.service.buckets
    examples: list[Example] = []
    for asset in data.get("Assets", []):
        entries = entries_of(s3_object(asset.get("GroundTruthManifest", {}).get("S3Object", {}), buckets), buckets)
        if wrong := too_many_errors(entries):
            raise ApiError("InvalidParameterException", f"Request has invalid parameters. {wrong}")
        examples += examples_of(iter(entries), buckets)
    return examples


def _in(call: Call, statuses: tuple[str, ...], verb: str) -> ProjectVersion:
    version = arns.version(call)
    if version.status not in statuses:
        raise ApiError("ResourceInUseException", f"A version that is {version.status} cannot be {verb}.")
    return version


def _described(call: Call, one: ProjectVersion) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ProjectVersionArn": arns.of_version(call, one),
        "CreationTimestamp": one.number / 1000,
        "Status": one.status,
        "StatusMessage": one.message,
        "OutputConfig": one.output,
        "Feature": "CUSTOM_LABELS",
    }
    if one.inference_units:
        answer["MinInferenceUnits"] = one.inference_units
    if one.description:
        answer["VersionDescription"] = one.description
    if one.ended:
        answer["TrainingEndTimestamp"] = one.ended
        answer["BillableTrainingTimeInSeconds"] = round(one.seconds)
    if one.summary:
        answer["EvaluationResult"] = {"F1Score": one.f1, "Summary": {"S3Object": one.summary}}
    return answer
