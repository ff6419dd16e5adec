"""Custom labels: projects and their datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from edge.api.rekognition.call import resource_of
from edge.api.rekognition.custom import arns
from edge.api.rekognition.custom.lines import entries_of, shown, too_many_errors
from edge.api.rekognition.custom.projects import CUSTOM_LABELS
from edge.api.rekognition.errors import ApiError
from edge.api.rekognition.images import s3_object

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.custom.projects import Dataset, DatasetEntry, Kind

PAGE = 100
TEST_SHARE = 5
"""every n-th entry is moved to the test dataset"""


def create_project(call: Call) -> dict[str, Any]:
    feature = call.get("Feature", CUSTOM_LABELS)
    project = call.service.projects.create(call["ProjectName"], call.get("AutoUpdate", "DISABLED"), feature)
    arn = arns.of_project(call, project)
    call.service.store.tag(resource_of(arn), call.get("Tags", {}))
    return {"ProjectArn": arn}


def describe_projects(call: Call) -> dict[str, Any]:
    names, features = call.get("ProjectNames"), call.get("Features", [CUSTOM_LABELS])
    feature_of = call.service.projects.feature
    after = call.position()
    found = [
        one
        for one in call.service.projects.projects()
        if one.name > after and (names is None or one.name in names) and feature_of(one.name) in features
    ]
    size = call.get("MaxResults", PAGE)
    described = [
        {
            "ProjectArn": arns.of_project(call, one),
            "CreationTimestamp": one.number / 1000,
            "Status": "CREATED",
            "Feature": feature_of(one.name),
            "AutoUpdate": call.service.projects.auto_update(one),
            "Datasets": [
                {
                    "CreationTimestamp": dataset.number / 1000,
                    "DatasetType": dataset.kind.upper(),
                    "DatasetArn": arns.of_dataset(call, dataset),
                    **_status(dataset),
                }
                for dataset in call.service.projects.datasets(one.name)
            ],
        }
        for one in found[:size]
    ]
    return {"ProjectDescriptions": described, **_next(call, found, size, lambda one: one.name)}


def delete_project(call: Call) -> dict[str, Any]:
    call.service.projects.delete(arns.project(call))
    call.service.store.untag(resource_of(call["ProjectArn"]))
    return {"Status": "DELETING"}


def create_dataset(call: Call) -> dict[str, Any]:
    project, source = arns.project(call), call.get("DatasetSource", {})
    entries: list[DatasetEntry] = []
    if "DatasetArn" in source:
        entries = list(call.service.projects.entries(arns.dataset(call, source["DatasetArn"])))
    elif "GroundTruthManifest" in source:
        place = source["GroundTruthManifest"].get("S3Object", {})
        buckets = call.service.buckets
        entries = entries_of(s3_object(place, buckets), buckets)
    dataset = call.service.projects.create_dataset(project, cast("Kind", call["DatasetType"].lower()))
    _put(call, dataset, entries, "CREATE", bool(source))
    arn = arns.of_dataset(call, dataset)
    call.service.store.tag(resource_of(arn), call.get("Tags", {}))
    return {"DatasetArn": arn}


def describe_dataset(call: Call) -> dict[str, Any]:
    dataset = arns.dataset(call, call["DatasetArn"])
    entries = list(call.service.projects.entries(dataset))
    return {
        "DatasetDescription": {
            "CreationTimestamp": dataset.number / 1000,
            "LastUpdatedTimestamp": dataset.updated,
            **_status(dataset),
            "DatasetStats": {
                "LabeledEntries": sum(bool(one.labels) for one in entries),
                "TotalEntries": len(entries),
                "TotalLabels": len({label for one in entries for label in one.labels}),
                "ErrorEntries": sum(bool(one.error) for one in entries),
            },
        }
    }


def list_dataset_entries(call: Call) -> dict[str, Any]:
    dataset, size = arns.dataset(call, call["DatasetArn"]), call.get("MaxResults", PAGE)
    found = list(_wanted(call, call.service.projects.entries(dataset, call.offset())))
    answer = {"DatasetEntries": [shown(one) for one in found[:size]]}
    return {**answer, **_next(call, found, size, lambda one: str(one.position))}


def list_dataset_labels(call: Call) -> dict[str, Any]:
    dataset, size = arns.dataset(call, call["DatasetArn"]), call.get("MaxResults", PAGE)
    after = call.position()
    stats: dict[str, list[int]] = {}
    for entry in call.service.projects.entries(dataset):
        for label, boxes in entry.labels.items():
            counts = stats.setdefault(label, [0, 0])
            counts[0] += 1
            counts[1] += boxes
    found = [(label, stats[label]) for label in sorted(stats) if label > after]
    described = [
        {"LabelName": label, "LabelStats": {"EntryCount": entries, "BoundingBoxCount": boxes}}
        for label, (entries, boxes) in found[:size]
    ]
    return {"DatasetLabelDescriptions": described, **_next(call, found, size, lambda one: one[0])}


def update_dataset_entries(call: Call) -> dict[str, Any]:
    dataset = arns.dataset(call, call["DatasetArn"])
    _put(call, dataset, entries_of(call["Changes"]["GroundTruth"], call.service.buckets), "UPDATE", True)
    return {}


def distribute_dataset_entries(call: Call) -> dict[str, Any]:
    """Move every fifth entry of each label from the train dataset to the test dataset, which must be empty."""
    one, other = (arns.dataset(call, item["Arn"]) for item in call["Datasets"])
    kinds = {one.kind: one, other.kind: other}
    if one.project != other.project or set(kinds) != {"train", "test"}:
        raise ApiError(
            "InvalidParameterException", "Request has invalid parameters. Datasets: a train and a test of one project."
        )
    if any(call.service.projects.entries(kinds["test"])):
        raise ApiError("InvalidParameterException", "Request has invalid parameters. Datasets: the test is not empty.")
    seen: dict[str, int] = {}
    moved = []
    for entry in call.service.projects.entries(kinds["train"]):
        label = min(entry.labels, default="")
        seen[label] = seen.get(label, 0) + 1
        if seen[label] % TEST_SHARE == 2:
            moved.append(entry.position)
    call.service.projects.move(moved, kinds["test"])
    for dataset in kinds.values():
        call.service.projects.put_entries(dataset, [], "UPDATE_COMPLETE")
    return {}


def delete_dataset(call: Call) -> dict[str, Any]:
    call.service.projects.delete_dataset(arns.dataset(call, call["DatasetArn"]))
    call.service.store.untag(resource_of(call["DatasetArn"]))
    return {}


def _put(call: Call, dataset: Dataset, entries: list[DatasetEntry], verb: str, must: bool) -> None:
    wrong = too_many_errors(entries) if must else ""
    status = f"{verb}_{'FAILED' if wrong else 'COMPLETE'}"
    call.service.projects.put_entries(dataset, [] if wrong else entries, status, wrong)


def _status(dataset: Dataset) -> dict[str, Any]:
    failed = dataset.status.endswith("FAILED")
    done = "updated" if dataset.status.startswith("UPDATE") else "created"
    message = dataset.message or f"The dataset was successfully {done}."
    code = "CLIENT_ERROR" if failed else "SUCCESS"
    return {"Status": dataset.status, "StatusMessage": message, "StatusMessageCode": code}


def _wanted(call: Call, entries: Iterable[DatasetEntry]) -> Iterator[DatasetEntry]:
    labels, part = call.get("ContainsLabels"), call.get("SourceRefContains")
    labeled, errors = call.get("Labeled"), call.get("HasErrors")
    for one in entries:
        if (
            (labels is None or not set(labels).isdisjoint(one.labels))
            and (part is None or part in one.source)
            and (labeled is None or labeled == bool(one.labels))
            and (errors is None or errors == bool(one.error))
        ):
            yield one


def _next(call: Call, found: list[Any], size: int, position: Any) -> dict[str, str]:
    return {"NextToken": call.next_token(position(found[size - 1]))} if len(found) > size else {}
