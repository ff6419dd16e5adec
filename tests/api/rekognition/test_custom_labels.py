"""The whole life of a project of custom labels, by an unmodified client and its waiters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from edge.api.rekognition.custom.lines import entries_of
from edge.core.storage.buckets import Buckets

SOON = {"Delay": 1, "MaxAttempts": 120}


def line(key: str, label: str) -> str:
    metadata = {
        "class-name": label,
        "confidence": 1,
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
        "creation-date": "2026-11-22T12:00:00.000000",
    }
    return json.dumps({"source-ref": f"s3://pets/{key}", "label": 0, "label-metadata": metadata})


@pytest.fixture(scope="module")
def bucket(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pets")
    for file in (shared / "data" / "stills" / "imprinting").glob("*.png"):
        shutil.copy(file, folder)
    for part in ("train", "test"):
        lines = [line(file.name, file.name.split("_")[0]) for file in sorted(folder.glob(f"*_{part}_*.png"))]
        (folder / f"{part}.manifest").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def buckets(bucket: Path) -> dict[str, Path]:
    return {"pets": bucket}


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def manifest(name: str) -> dict[str, Any]:
    return {"GroundTruthManifest": {"S3Object": {"Bucket": "pets", "Name": name}}}


def test_from_a_project_to_the_labels_of_a_picture_and_back(rekognition: Any, bucket: Path, shared: Path) -> None:
    project = rekognition.create_project(ProjectName="pets")["ProjectArn"]
    for kind in ("train", "test"):
        rekognition.create_dataset(
            ProjectArn=project, DatasetType=kind.upper(), DatasetSource=manifest(f"{kind}.manifest")
        )
    (described,) = rekognition.describe_projects(ProjectNames=["pets"])["ProjectDescriptions"]
    train, test = (one["DatasetArn"] for one in described["Datasets"])
    assert [one["Status"] for one in described["Datasets"]] == ["CREATE_COMPLETE"] * 2
    stats = rekognition.describe_dataset(DatasetArn=train)["DatasetDescription"]["DatasetStats"]
    assert stats == {"LabeledEntries": 4, "TotalEntries": 4, "TotalLabels": 3, "ErrorEntries": 0}

    version = rekognition.create_project_version(
        ProjectArn=project, VersionName="v1", OutputConfig={"S3Bucket": "pets", "S3KeyPrefix": "out"}
    )["ProjectVersionArn"]
    rekognition.get_waiter("project_version_training_completed").wait(ProjectArn=project, WaiterConfig=SOON)
    (about,) = rekognition.describe_project_versions(ProjectArn=project)["ProjectVersionDescriptions"]
    assert about["EvaluationResult"]["F1Score"] == 1.0
    place = about["EvaluationResult"]["Summary"]["S3Object"]["Name"]
    summary = json.loads((bucket / place).read_text())
    assert summary["EvaluationDetails"]["NumberOfTrainingImages"] == 4
    assert summary["AggregatedEvaluationResults"]["F1Score"] == 1.0

    for member, lines in (("TrainingDataResult", 4), ("TestingDataResult", 3)):
        for part in ("Input", "Output", "Validation"):
            key = about[member][part]["Assets"][0]["GroundTruthManifest"]["S3Object"]["Name"]
            assert len([json.loads(line) for line in (bucket / key).read_text().splitlines()]) == lines, (member, part)
    counts = json.loads((bucket / about["ManifestSummary"]["S3Object"]["Name"]).read_text())["statistics"]
    assert (counts["training"]["use_case"], counts["testing"]["valid_json_lines"]) == ("IMAGE_LEVEL_LABELS", 3)

    picture = {"Bytes": (shared / "data" / "stills" / "hot_dog.jpg").read_bytes()}
    with pytest.raises(ClientError) as error:
        rekognition.detect_custom_labels(ProjectVersionArn=version, Image=picture)
    assert code(error) == "ResourceNotReadyException"
    rekognition.start_project_version(ProjectVersionArn=version, MinInferenceUnits=1)
    rekognition.get_waiter("project_version_running").wait(ProjectArn=project, WaiterConfig=SOON)
    (found,) = rekognition.detect_custom_labels(ProjectVersionArn=version, Image=picture)["CustomLabels"]
    assert found["Name"] == "hotdog"
    everything = rekognition.detect_custom_labels(ProjectVersionArn=version, Image=picture, MinConfidence=0)
    assert len(everything["CustomLabels"]) == 3

    with pytest.raises(ClientError) as error:
        rekognition.delete_project_version(ProjectVersionArn=version)
    assert code(error) == "ResourceInUseException", "while it runs"
    with pytest.raises(ClientError) as error:
        rekognition.start_project_version(ProjectVersionArn=version, MinInferenceUnits=1)
    assert code(error) == "ResourceInUseException"
    with pytest.raises(ClientError) as error:
        rekognition.delete_project(ProjectArn=project)
    assert code(error) == "ResourceInUseException"
    rekognition.stop_project_version(ProjectVersionArn=version)
    rekognition.delete_project_version(ProjectVersionArn=version)
    for arn in (train, test):
        rekognition.delete_dataset(DatasetArn=arn)
    rekognition.delete_project(ProjectArn=project)
    with pytest.raises(ClientError) as error:
        rekognition.describe_project_versions(ProjectArn=project)
    assert code(error) == "ResourceNotFoundException"


def test_entries_are_added_replaced_filtered_paged_and_distributed(rekognition: Any) -> None:
    project = rekognition.create_project(ProjectName="entries")["ProjectArn"]
    train = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    test = rekognition.create_dataset(ProjectArn=project, DatasetType="TEST")["DatasetArn"]
    names = ["cat_train_0.png", "cat_test_0.png", "dog_train_0.png", "dog_test_0.png", "hotdog_train_0.png"]
    lines = [line(name, name.split("_")[0]) for name in names] + [line("missing.png", "cat")]
    rekognition.update_dataset_entries(DatasetArn=train, Changes={"GroundTruth": "\n".join(lines).encode()})
    rekognition.update_dataset_entries(DatasetArn=train, Changes={"GroundTruth": line(names[4], "sausage").encode()})

    pages = rekognition.get_paginator("list_dataset_entries").paginate(
        DatasetArn=train, PaginationConfig={"PageSize": 4}
    )
    entries = [json.loads(entry) for page in pages for entry in page["DatasetEntries"]]
    assert len(entries) == 6, "an entry with the same source takes the place of the one before"
    wrong = rekognition.list_dataset_entries(DatasetArn=train, HasErrors=True)["DatasetEntries"]
    assert json.loads(wrong[0])["errors"][0]["message"] == "The picture does not exist."
    assert len(rekognition.list_dataset_entries(DatasetArn=train, ContainsLabels=["dog"])["DatasetEntries"]) == 2
    labels = rekognition.list_dataset_labels(DatasetArn=train)["DatasetLabelDescriptions"]
    assert {one["LabelName"]: one["LabelStats"]["EntryCount"] for one in labels} == {"cat": 3, "dog": 2, "sausage": 1}

    rekognition.distribute_dataset_entries(Datasets=[{"Arn": train}, {"Arn": test}])
    parts = [
        rekognition.describe_dataset(DatasetArn=arn)["DatasetDescription"]["DatasetStats"] for arn in (train, test)
    ]
    assert [part["TotalEntries"] for part in parts] == [4, 2]
    with pytest.raises(ClientError) as error:
        rekognition.distribute_dataset_entries(Datasets=[{"Arn": train}, {"Arn": test}])
    assert code(error) == "InvalidParameterException"


def test_a_hostile_manifest_fails_by_name_and_leaves_what_was_there(rekognition: Any) -> None:
    project = rekognition.create_project(ProjectName="hostile")["ProjectArn"]
    train = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    rekognition.update_dataset_entries(
        DatasetArn=train, Changes={"GroundTruth": line("cat_test_0.png", "cat").encode()}
    )
    for bad in (b"\xff\xfe{", b"[" * 50_000, b'{"source-ref": "s3://pets/../../../etc/passwd"}', b"\n\n"):
        rekognition.update_dataset_entries(DatasetArn=train, Changes={"GroundTruth": bad})
        about = rekognition.describe_dataset(DatasetArn=train)["DatasetDescription"]
        assert (about["Status"], about["StatusMessageCode"]) == ("UPDATE_FAILED", "CLIENT_ERROR")
        assert about["DatasetStats"]["TotalEntries"] == 1


def test_an_entry_ends_with_its_line_and_not_at_what_else_may_end_one(tmp_path: Path) -> None:
    lines = [line("a\u2028b.png", "cat"), line("c\x85d.png", "dog")]
    raw = "\r\n".join(json.dumps(json.loads(one), ensure_ascii=False) for one in lines).encode()
    entries = entries_of(raw + b"\n\n", Buckets({"pets": tmp_path}))
    assert [one.source for one in entries] == ["s3://pets/a\u2028b.png", "s3://pets/c\x85d.png"]
    assert {one.error for one in entries} == {"The picture does not exist."}
    assert not any(one.line.endswith("\r") for one in entries)


def test_training_that_cannot_be_done_says_why_and_the_waiter_ends(rekognition: Any) -> None:
    project = rekognition.create_project(ProjectName="too-few")["ProjectArn"]
    train = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    rekognition.update_dataset_entries(
        DatasetArn=train, Changes={"GroundTruth": line("cat_test_0.png", "cat").encode()}
    )
    rekognition.create_project_version(ProjectArn=project, VersionName="v1", OutputConfig={"S3Bucket": "pets"})
    with pytest.raises(WaiterError):
        rekognition.get_waiter("project_version_training_completed").wait(ProjectArn=project, WaiterConfig=SOON)
    (about,) = rekognition.describe_project_versions(ProjectArn=project)["ProjectVersionDescriptions"]
    assert about["Status"] == "TRAINING_FAILED"
    assert "only one" in about["StatusMessage"]
    with pytest.raises(ClientError) as error:
        rekognition.create_project_version(
            ProjectArn=project, VersionName="v2", OutputConfig={"S3Bucket": "pets", "S3KeyPrefix": "../../.."}
        )
    assert code(error) == "InvalidS3ObjectException"


OUTSIDE = [
    "/etc/passwd",
    "file:///etc/passwd",
    "../../../etc/passwd",
    "s3://pets/../../etc/passwd",
    "s3://pets/none.png",
]


@pytest.mark.parametrize("source", OUTSIDE)
def test_a_picture_outside_the_buckets_is_one_that_is_not_there(rekognition: Any, bucket: Path, source: str) -> None:
    name = f"outside-{OUTSIDE.index(source)}"
    project = rekognition.create_project(ProjectName=name)["ProjectArn"]
    train = rekognition.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    entries = (bucket / "train.manifest").read_text() + json.dumps({"source-ref": source})
    rekognition.update_dataset_entries(DatasetArn=train, Changes={"GroundTruth": entries.encode()})
    (entry,) = rekognition.list_dataset_entries(DatasetArn=train, SourceRefContains=source)["DatasetEntries"]
    assert json.loads(entry)["errors"][0]["message"] == "The picture does not exist."


def test_projects_datasets_and_versions_have_tags(rekognition: Any) -> None:
    project = rekognition.create_project(ProjectName="tagged", Tags={"a": "1"}, AutoUpdate="ENABLED")["ProjectArn"]
    dataset = rekognition.create_dataset(
        ProjectArn=project, DatasetType="TRAIN", DatasetSource=manifest("train.manifest"), Tags={"b": "2"}
    )["DatasetArn"]
    version = rekognition.create_project_version(
        ProjectArn=project, VersionName="v1", OutputConfig={"S3Bucket": "pets"}, Tags={"c": "3"}, KmsKeyId="key-1"
    )["ProjectVersionArn"]
    for arn, tags in ((project, {"a": "1"}), (dataset, {"b": "2"}), (version, {"c": "3"})):
        assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags
        rekognition.tag_resource(ResourceArn=arn, Tags={"more": "yes"})
        rekognition.untag_resource(ResourceArn=arn, TagKeys=list(tags))
        assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"more": "yes"}
        with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
            rekognition.list_tags_for_resource(ResourceArn=arn + "0")
    (described,) = rekognition.describe_projects(ProjectNames=["tagged"])["ProjectDescriptions"]
    assert described["AutoUpdate"] == "ENABLED"
    about = rekognition.describe_project_versions(ProjectArn=project, VersionNames=["v1"])
    (one,) = about["ProjectVersionDescriptions"]
    assert (one["Status"], one["KmsKeyId"]) == ("TRAINING_COMPLETED", "key-1")
    rekognition.start_project_version(ProjectVersionArn=version, MinInferenceUnits=1, MaxInferenceUnits=3)
    (one,) = rekognition.describe_project_versions(ProjectArn=project)["ProjectVersionDescriptions"]
    assert (one["StatusMessage"], one["MaxInferenceUnits"]) == ("The model is running.", 3)
    rekognition.stop_project_version(ProjectVersionArn=version)
    (one,) = rekognition.describe_project_versions(ProjectArn=project)["ProjectVersionDescriptions"]
    assert one["StatusMessage"] == "The model has stopped."


def test_a_version_is_copied_to_another_project_and_runs_there(rekognition: Any, bucket: Path, shared: Path) -> None:
    source = rekognition.create_project(ProjectName="try")["ProjectArn"]
    target = rekognition.create_project(ProjectName="use")["ProjectArn"]
    output = {"S3Bucket": "pets", "S3KeyPrefix": "copied"}
    rekognition.create_dataset(ProjectArn=source, DatasetType="TRAIN", DatasetSource=manifest("train.manifest"))
    version = rekognition.create_project_version(ProjectArn=source, VersionName="v1", OutputConfig={"S3Bucket": "pets"})
    asked = {"SourceProjectArn": source, "DestinationProjectArn": target, "VersionName": "v7", "OutputConfig": output}
    copied = rekognition.copy_project_version(
        SourceProjectVersionArn=version["ProjectVersionArn"], Tags={"a": "b"}, **asked
    )["ProjectVersionArn"]
    (about,) = rekognition.describe_project_versions(ProjectArn=target)["ProjectVersionDescriptions"]

    assert about["Status"] == "COPYING_COMPLETED"
    assert (bucket / "copied/EvaluationSummary-use-v7.json").is_file()
    assert rekognition.list_tags_for_resource(ResourceArn=copied)["Tags"] == {"a": "b"}
    assert rekognition.list_project_policies(ProjectArn=target)["ProjectPolicies"] == []
    assert rekognition.list_media_analysis_jobs()["MediaAnalysisJobs"] == []
    rekognition.delete_project_version(ProjectVersionArn=version["ProjectVersionArn"])
    rekognition.start_project_version(ProjectVersionArn=copied, MinInferenceUnits=1)
    picture = (shared / "data/stills/imprinting/cat_test_0.png").read_bytes()
    found = rekognition.detect_custom_labels(ProjectVersionArn=copied, Image={"Bytes": picture}, MinConfidence=0)
    assert found["CustomLabels"][0]["Name"] == "cat"
    moderated = rekognition.detect_moderation_labels(ProjectVersion=copied, Image={"Bytes": picture}, MinConfidence=0)
    assert moderated["ModerationLabels"][0] == {
        "Name": "cat", "ParentName": "", "TaxonomyLevel": 1, "Confidence": found["CustomLabels"][0]["Confidence"],
    }  # fmt: skip
    with pytest.raises(ClientError) as error:
        rekognition.copy_project_version(SourceProjectVersionArn=version["ProjectVersionArn"], **asked)
    assert code(error) == "ResourceNotFoundException"


def test_a_project_for_moderation_answers_as_soon_as_it_is_trained(rekognition: Any, shared: Path) -> None:
    project = rekognition.create_project(ProjectName="adapter", Feature="CONTENT_MODERATION", AutoUpdate="ENABLED")[
        "ProjectArn"
    ]
    assert rekognition.describe_projects(ProjectNames=["adapter"])["ProjectDescriptions"] == [], "not custom labels"
    (described,) = rekognition.describe_projects(Features=["CONTENT_MODERATION"])["ProjectDescriptions"]
    assert (described["Feature"], described["AutoUpdate"]) == ("CONTENT_MODERATION", "ENABLED")
    for kind in ("train", "test"):
        rekognition.create_dataset(
            ProjectArn=project, DatasetType=kind.upper(), DatasetSource=manifest(f"{kind}.manifest")
        )
    config = {"ContentModeration": {"ConfidenceThreshold": 60.0}}
    version = rekognition.create_project_version(
        ProjectArn=project, VersionName="v1", OutputConfig={"S3Bucket": "pets"}, FeatureConfig=config
    )["ProjectVersionArn"]
    rekognition.get_waiter("project_version_training_completed").wait(ProjectArn=project, WaiterConfig=SOON)
    (about,) = rekognition.describe_project_versions(ProjectArn=project)["ProjectVersionDescriptions"]
    assert (about["Feature"], about["FeatureConfig"]) == ("CONTENT_MODERATION", config)
    picture = {"Bytes": (shared / "data" / "stills" / "hot_dog.jpg").read_bytes()}
    answer = rekognition.detect_moderation_labels(Image=picture, ProjectVersion=version)
    assert [one["Name"] for one in answer["ModerationLabels"]] == ["hotdog"]
    assert answer["ProjectVersion"] == version
    rekognition.delete_project_version(ProjectVersionArn=version)
    (described,) = rekognition.describe_projects(Features=["CONTENT_MODERATION"])["ProjectDescriptions"]
    for dataset in described["Datasets"]:
        rekognition.delete_dataset(DatasetArn=dataset["DatasetArn"])
    rekognition.delete_project(ProjectArn=project)
