"""The constraints of the custom label operations, as ``constraints`` has them for the others."""

from __future__ import annotations

from edge.api.rekognition.rules import (
    BooleanRule,
    BytesRule,
    IntegerRule,
    ListRule,
    MapRule,
    Rule,
    StringRule,
    StructureRule,
)

MAX_CHANGES = 5_242_880
"""bytes of manifest lines in one request"""


def inputs(
    image: Rule, percent: Rule, bucket: Rule, s3_object: StructureRule, tags: MapRule
) -> dict[str, StructureRule]:
    """By operation; the shapes that other operations have as well are given."""
    name = StringRule(1, 255, r"[a-zA-Z0-9_.\-]+")
    start = r"arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}"
    project = StringRule(20, 2048, start + r"\/[0-9]+")
    dataset = StringRule(20, 2048, start + r"\/dataset\/(train|test)\/[0-9]+")
    version = StringRule(20, 2048, start + r"\/version\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+")
    feature = StringRule(choices=("CUSTOM_LABELS", "CONTENT_MODERATION"))
    pages: dict[str, Rule] = {"NextToken": StringRule(0, 1024), "MaxResults": IntegerRule(1, 100)}
    manifest = StructureRule({"S3Object": s3_object})
    assets = ListRule(StructureRule({"GroundTruthManifest": manifest}))
    confidence = StructureRule({"ConfidenceThreshold": percent})
    return {
        "CreateProject": StructureRule(
            {
                "ProjectName*": name, "Feature": feature, "AutoUpdate": StringRule(choices=("ENABLED", "DISABLED")),
                "Tags": tags,
            }
        ),
        "DescribeProjects": StructureRule(
            {**pages, "ProjectNames": ListRule(name, 1, 10), "Features": ListRule(feature, 1, 2)}
        ),
        "DeleteProject": StructureRule({"ProjectArn*": project}),
        "CreateDataset": StructureRule(
            {
                "DatasetSource": StructureRule({"GroundTruthManifest": manifest, "DatasetArn": dataset}),
                "DatasetType*": StringRule(choices=("TRAIN", "TEST")), "ProjectArn*": project, "Tags": tags,
            }
        ),
        "DescribeDataset": StructureRule({"DatasetArn*": dataset}),
        "ListDatasetEntries": StructureRule(
            {
                **pages, "DatasetArn*": dataset, "ContainsLabels": ListRule(StringRule(1, 255, ".{1,}"), 1, 10),
                "Labeled": BooleanRule(), "HasErrors": BooleanRule(),
                "SourceRefContains": StringRule(1, 2048, r".*\S.*"),
            }
        ),
        "ListDatasetLabels": StructureRule({**pages, "DatasetArn*": dataset}),
        "UpdateDatasetEntries": StructureRule(
            {"DatasetArn*": dataset, "Changes*": StructureRule({"GroundTruth*": BytesRule(1, MAX_CHANGES)})}
        ),
        "DistributeDatasetEntries": StructureRule({"Datasets*": ListRule(StructureRule({"Arn*": dataset}), 2, 2)}),
        "DeleteDataset": StructureRule({"DatasetArn*": dataset}),
        "CreateProjectVersion": StructureRule(
            {
                "ProjectArn*": project, "VersionName*": name,
                "OutputConfig*": StructureRule({"S3Bucket": bucket, "S3KeyPrefix": StringRule(0, 1024)}),
                "TrainingData": StructureRule({"Assets": assets}),
                "TestingData": StructureRule({"Assets": assets, "AutoCreate": BooleanRule()}), "Tags": tags,
                "KmsKeyId": StringRule(1, 2048, r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}"),
                "VersionDescription": StringRule(1, 255, r"[a-zA-Z0-9\-_. ()':,;?]+"),
                "FeatureConfig": StructureRule({"ContentModeration": confidence}),
            }
        ),
        "DescribeProjectVersions": StructureRule(
            {**pages, "ProjectArn*": project, "VersionNames": ListRule(name, 1, 10)}
        ),
        "StartProjectVersion": StructureRule(
            {"ProjectVersionArn*": version, "MinInferenceUnits*": IntegerRule(1), "MaxInferenceUnits": IntegerRule(1)}
        ),
        "StopProjectVersion": StructureRule({"ProjectVersionArn*": version}),
        "DeleteProjectVersion": StructureRule({"ProjectVersionArn*": version}),
        "DetectCustomLabels": StructureRule(
            {"ProjectVersionArn*": version, "Image*": image, "MaxResults": IntegerRule(0), "MinConfidence": percent}
        ),
    }  # fmt: skip
