"""The constraints of the custom label operations, as ``constraints`` has them for the others."""

from __future__ import annotations

from edge.api.rekognition.rules import Blob, Flag, Many, Pairs, Record, Rule, Text, Whole

MAX_CHANGES = 5_242_880
"""bytes of manifest lines in one request"""


def inputs(image: Rule, percent: Rule, bucket: Rule, s3_object: Record, tags: Pairs) -> dict[str, Record]:
    """By operation; the shapes that other operations have as well are given."""
    name = Text(1, 255, r"[a-zA-Z0-9_.\-]+")
    start = r"arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}"
    project = Text(20, 2048, start + r"\/[0-9]+")
    dataset = Text(20, 2048, start + r"\/dataset\/(train|test)\/[0-9]+")
    version = Text(20, 2048, start + r"\/version\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+")
    feature = Text(choices=("CUSTOM_LABELS", "CONTENT_MODERATION"))
    pages: dict[str, Rule] = {"NextToken": Text(0, 1024), "MaxResults": Whole(1, 100)}
    manifest = Record({"S3Object": s3_object})
    assets = Many(Record({"GroundTruthManifest": manifest}))
    confidence = Record({"ConfidenceThreshold": percent})
    return {
        "CreateProject": Record(
            {
                "ProjectName*": name, "Feature": feature, "AutoUpdate": Text(choices=("ENABLED", "DISABLED")),
                "Tags": tags,
            }
        ),
        "DescribeProjects": Record({**pages, "ProjectNames": Many(name, 1, 10), "Features": Many(feature, 1, 2)}),
        "DeleteProject": Record({"ProjectArn*": project}),
        "CreateDataset": Record(
            {
                "DatasetSource": Record({"GroundTruthManifest": manifest, "DatasetArn": dataset}),
                "DatasetType*": Text(choices=("TRAIN", "TEST")), "ProjectArn*": project, "Tags": tags,
            }
        ),
        "DescribeDataset": Record({"DatasetArn*": dataset}),
        "ListDatasetEntries": Record(
            {
                **pages, "DatasetArn*": dataset, "ContainsLabels": Many(Text(1, 255, ".{1,}"), 1, 10),
                "Labeled": Flag(), "SourceRefContains": Text(1, 2048, r".*\S.*"), "HasErrors": Flag(),
            }
        ),
        "ListDatasetLabels": Record({**pages, "DatasetArn*": dataset}),
        "UpdateDatasetEntries": Record(
            {"DatasetArn*": dataset, "Changes*": Record({"GroundTruth*": Blob(1, MAX_CHANGES)})}
        ),
        "DistributeDatasetEntries": Record({"Datasets*": Many(Record({"Arn*": dataset}), 2, 2)}),
        "DeleteDataset": Record({"DatasetArn*": dataset}),
        "CreateProjectVersion": Record(
            {
                "ProjectArn*": project, "VersionName*": name,
                "OutputConfig*": Record({"S3Bucket": bucket, "S3KeyPrefix": Text(0, 1024)}),
                "TrainingData": Record({"Assets": assets}),
                "TestingData": Record({"Assets": assets, "AutoCreate": Flag()}), "Tags": tags,
                "KmsKeyId": Text(1, 2048, r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}"),
                "VersionDescription": Text(1, 255, r"[a-zA-Z0-9\-_. ()':,;?]+"),
                "FeatureConfig": Record({"ContentModeration": confidence}),
            }
        ),
        "DescribeProjectVersions": Record({**pages, "ProjectArn*": project, "VersionNames": Many(name, 1, 10)}),
        "StartProjectVersion": Record(
            {"ProjectVersionArn*": version, "MinInferenceUnits*": Whole(1), "MaxInferenceUnits": Whole(1)}
        ),
        "StopProjectVersion": Record({"ProjectVersionArn*": version}),
        "DeleteProjectVersion": Record({"ProjectVersionArn*": version}),
        "DetectCustomLabels": Record(
            {"ProjectVersionArn*": version, "Image*": image, "MaxResults": Whole(0), "MinConfidence": percent}
        ),
    }  # fmt: skip
