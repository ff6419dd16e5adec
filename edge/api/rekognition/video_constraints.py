"""The constraints of the stored video operations, as ``constraints`` has them for the others."""

from __future__ import annotations

from edge.api.rekognition.rules import IntegerRule, ListRule, Rule, StringRule, StructureRule


def inputs(
    s3_object: StructureRule, percent: Rule, collection: Rule, general_labels: Rule, page: Rule
) -> dict[str, StructureRule]:
    """By operation; the shapes that other operations have as well are given."""
    word = StringRule(1, 64, r"[a-zA-Z0-9\-_]+")
    channel = StructureRule(
        {
            "SNSTopicArn*": StringRule(pattern=r"arn:aws:sns:.*:\w{12}:.+"),
            "RoleArn*": StringRule(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
        }
    )
    start: dict[str, Rule] = {
        "Video*": StructureRule({"S3Object": s3_object}),
        "ClientRequestToken": word,
        "NotificationChannel": channel,
        "JobTag": StringRule(1, 1024, r"[a-zA-Z0-9_.\-:+=\/]+"),
    }
    get: dict[str, Rule] = {"JobId*": word, "MaxResults": IntegerRule(1), "NextToken": page}
    return {
        "StartFaceSearch": StructureRule({**start, "FaceMatchThreshold": percent, "CollectionId*": collection}),
        "GetFaceSearch": StructureRule({**get, "SortBy": StringRule(choices=("INDEX", "TIMESTAMP"))}),
        "StartFaceDetection": StructureRule({**start, "FaceAttributes": StringRule(choices=("DEFAULT", "ALL"))}),
        "GetFaceDetection": StructureRule(get),
        "StartLabelDetection": StructureRule(
            {
                **start,
                "MinConfidence": percent,
                "Features": ListRule(StringRule(choices=("GENERAL_LABELS",)), 0, 1),
                "Settings": StructureRule({"GeneralLabels": general_labels}),
            }
        ),
        "GetLabelDetection": StructureRule(
            {
                **get,
                "SortBy": StringRule(choices=("NAME", "TIMESTAMP")),
                "AggregateBy": StringRule(choices=("TIMESTAMPS", "SEGMENTS")),
            }
        ),
    }
