"""Custom labels: versions of a project, from training to DetectCustomLabels."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.api.rekognition import shapes
from edge.api.rekognition.call import resource_of
from edge.api.rekognition.custom import arns
from edge.api.rekognition.custom.lines import entries_of, too_many_errors
from edge.api.rekognition.custom.projects import new_version
from edge.api.rekognition.custom.training import head_name, summary_key
from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.images import s3_object, unreadable
from edge.core.errors import EdgeError, NotFoundError
from edge.core.storage.buckets import is_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.api.rekognition.call import Call
    from edge.api.rekognition.custom.projects import DatasetEntry, ProjectVersion

log = logging.getLogger(__name__)

PAGE = 100
DELETABLE = ("TRAINING_COMPLETED", "TRAINING_FAILED", "COPYING_COMPLETED", "COPYING_FAILED", "STOPPED")
PATIENCE = 20.0
"""seconds to wait for the end of a training: SDK waiters poll at once, and again only after two minutes"""
MESSAGES = {
    "TRAINING_IN_PROGRESS": "The model is being trained.",
    "RUNNING": "The model is running.",
    "STOPPED": "The model has stopped.",
}
"""status -> StatusMessage, where it replaces the training's own message"""


def create_project_version(call: Call) -> dict[str, Any]:
    project, output = arns.project(call), call["OutputConfig"]
    learn, test = _datasets(call, project.name)
    if all(one.error for one in learn):
        raise ApiError("InvalidParameterException", "Request has invalid parameters. The train dataset has no entries.")
    version = new_version(
        project,
        call["VersionName"],
        description=call.get("VersionDescription", ""),
        output=dict(output),
        kms_key=call.get("KmsKeyId", ""),
        given={name: call[name] for name in ("TrainingData", "TestingData", "FeatureConfig") if name in call.members},
    )
    if not (call.service.buckets.has(output.get("S3Bucket", "")) and is_key(summary_key(version))):
        raise unreadable()
    call.service.projects.create_version(version)
    arn = arns.of_version(call, version)
    call.service.store.tag(resource_of(arn), call.get("Tags", {}))
    call.service.training.start(version, arn, learn, test).join(PATIENCE)
    return {"ProjectVersionArn": arn}


def copy_project_version(call: Call) -> dict[str, Any]:
    """Copy within the device; versions of other accounts do not exist here."""
    source = arns.version(call, "SourceProjectVersionArn")
    if source.project != arns.project(call, "SourceProjectArn").name:
        raise ApiError(
            "InvalidParameterException", "Request has invalid parameters. The version is of another project."
        )
    if not source.head:
        raise ApiError("ResourceInUseException", f"A version that is {source.status} cannot be copied.")
    project, output = arns.project(call, "DestinationProjectArn"), dict(call["OutputConfig"])
    target = new_version(project, call["VersionName"], output=output, kms_key=call.get("KmsKeyId", ""))
    if not (call.service.buckets.has(output.get("S3Bucket", "")) and is_key(summary_key(target))):
        raise unreadable()
    call.service.projects.create_version(target)
    arn = arns.of_version(call, target)
    try:
        done = call.service.training.copy(source, target, arn)
    except (EdgeError, OSError, ValueError) as error:
        log.warning("version %s of %s: copy failed: %s", target.name, target.project, error)
        done = replace(target, status="COPYING_FAILED", message="The model could not be copied.")
    call.service.store.tag(resource_of(arn), call.get("Tags", {}))
    call.service.projects.save_version(done)
    return {"ProjectVersionArn": arn}


def list_project_policies(call: Call) -> dict[str, Any]:
    """Always empty: there are no other accounts."""
    arns.project(call)
    return {"ProjectPolicies": []}


def list_media_analysis_jobs(call: Call) -> dict[str, Any]:
    """Always empty: bulk jobs are not supported."""
    call.position()
    return {"MediaAnalysisJobs": []}


def describe_project_versions(call: Call) -> dict[str, Any]:
    project, names, size = arns.project(call), call.get("VersionNames"), call.get("MaxResults", PAGE)
    found = [one for one in call.service.projects.versions(project.name) if names is None or one.name in names]
    if names is not None and len(found) == 1 and found[0].status == "TRAINING_IN_PROGRESS":
        call.service.training.wait(found[0], PATIENCE)
        found = [one for one in call.service.projects.versions(project.name) if one.name in names]
    start = call.offset()
    answer: dict[str, Any] = {
        "ProjectVersionDescriptions": [_described(call, one) for one in found[start : start + size]]
    }
    if len(found) > start + size:
        answer["NextToken"] = call.next_token(str(start + size))
    return answer


def start_project_version(call: Call) -> dict[str, Any]:
    version = _in(call, ("TRAINING_COMPLETED", "COPYING_COMPLETED", "STOPPED"), "started")
    units, most = call["MinInferenceUnits"], call.get("MaxInferenceUnits", 0)
    running = replace(version, status="RUNNING", inference_units=units, max_inference_units=most)
    call.service.projects.save_version(running)
    return {"Status": "STARTING"}


def stop_project_version(call: Call) -> dict[str, Any]:
    version = _in(call, ("RUNNING",), "stopped")
    call.service.projects.save_version(replace(version, status="STOPPED"))
    return {"Status": "STOPPING"}


def delete_project_version(call: Call) -> dict[str, Any]:
    version = _in(call, DELETABLE, "deleted")
    call.service.projects.delete_version(version)
    call.service.store.untag(resource_of(call["ProjectVersionArn"]))
    if version.head:
        try:
            heads = call.service.training.heads
            heads.delete(heads.version(head_name(version.project), version.head))
        except NotFoundError:
            pass  # the state folder was emptied: nothing to delete
    return {"Status": "DELETING"}


def detect_custom_labels(call: Call) -> dict[str, Any]:
    version = arns.version(call)
    least = call.get("MinConfidence")
    if version.status != "RUNNING":
        raise ApiError("ResourceNotReadyException", "The version of the project is not running.")
    _, picture = call.service.image(call["Image"])
    found = call.service.training.predict(
        version, picture, None if least is None else least / 100, call.service.vision.models
    )
    labels = [
        {
            "Name": one.label,
            "Confidence": shapes.percent(one.probability),
            **({"Geometry": {"BoundingBox": shapes.box(one.box)}} if one.box is not None else {}),
        }
        for one in found
    ]
    return {"CustomLabels": labels[: call.get("MaxResults", len(labels))]}


def _datasets(call: Call, project: str) -> tuple[list[DatasetEntry], list[DatasetEntry]]:
    """Entries for training and testing, from the request's manifests, otherwise from the project's datasets."""
    datasets = {one.kind: one for one in call.service.projects.datasets(project)}
    given = call.get("TrainingData")
    if given is None and call.get("TestingData") is None:
        found = {kind: list(call.service.projects.entries(one)) for kind, one in datasets.items()}
        return found.get("train", []), found.get("test", [])
    if given is None or datasets:
        raise ApiError(
            "InvalidParameterException",
            "Request has invalid parameters. TrainingData and TestingData: both, for a project without datasets.",
        )
    return _assets(call, given), _assets(call, call.get("TestingData", {}))


def _assets(call: Call, data: Mapping[str, Any]) -> list[DatasetEntry]:
    buckets = call.service.buckets
    found: list[DatasetEntry] = []
    for asset in data.get("Assets", []):
        entries = entries_of(s3_object(asset.get("GroundTruthManifest", {}).get("S3Object", {}), buckets), buckets)
        if wrong := too_many_errors(entries):
            raise ApiError("InvalidParameterException", f"Request has invalid parameters. {wrong}")
        found += entries
    return found


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
        "StatusMessage": MESSAGES.get(one.status, one.message),
        "OutputConfig": one.output,
        "Feature": call.service.projects.feature(one.project),
    }
    known = {
        "MinInferenceUnits": one.inference_units,
        "MaxInferenceUnits": one.max_inference_units,
        "VersionDescription": one.description,
        "KmsKeyId": one.kms_key,
        "FeatureConfig": one.given.get("FeatureConfig"),
        "TrainingDataResult": {"Input": one.given["TrainingData"]} if "TrainingData" in one.given else None,
        "TestingDataResult": {"Input": one.given["TestingData"]} if "TestingData" in one.given else None,
    }
    answer.update({name: value for name, value in (known | one.results).items() if value})
    if one.ended:
        answer["TrainingEndTimestamp"] = one.ended
        answer["BillableTrainingTimeInSeconds"] = round(one.seconds)
    if one.summary:
        answer["EvaluationResult"] = {"F1Score": one.f1, "Summary": {"S3Object": one.summary}}
    return answer
