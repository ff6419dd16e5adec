"""The constraints of the stored video operations, as ``constraints`` has them for the others."""

from __future__ import annotations

from edge.api.rekognition.rules import Many, Record, Rule, Text, Whole


def inputs(s3_object: Record, percent: Rule, collection: Rule, general_labels: Rule, page: Rule) -> dict[str, Record]:
    """By operation; the shapes that other operations have as well are given."""
    word = Text(1, 64, r"[a-zA-Z0-9\-_]+")
    channel = Record(
        {
            "SNSTopicArn*": Text(pattern=r"arn:aws:sns:.*:\w{12}:.+"),
            "RoleArn*": Text(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
        }
    )
    start: dict[str, Rule] = {
        "Video*": Record({"S3Object": s3_object}),
        "ClientRequestToken": word,
        "NotificationChannel": channel,
        "JobTag": Text(1, 1024, r"[a-zA-Z0-9_.\-:+=\/]+"),
    }
    get: dict[str, Rule] = {"JobId*": word, "MaxResults": Whole(1), "NextToken": page}
    return {
        "StartFaceSearch": Record({**start, "FaceMatchThreshold": percent, "CollectionId*": collection}),
        "GetFaceSearch": Record({**get, "SortBy": Text(choices=("INDEX", "TIMESTAMP"))}),
        "StartFaceDetection": Record({**start, "FaceAttributes": Text(choices=("DEFAULT", "ALL"))}),
        "GetFaceDetection": Record(get),
        "StartLabelDetection": Record(
            {
                **start,
                "MinConfidence": percent,
                "Features": Many(Text(choices=("GENERAL_LABELS",)), 0, 1),
                "Settings": Record({"GeneralLabels": general_labels}),
            }
        ),
        "GetLabelDetection": Record(
            {
                **get,
                "SortBy": Text(choices=("NAME", "TIMESTAMP")),
                "AggregateBy": Text(choices=("TIMESTAMPS", "SEGMENTS")),
            }
        ),
    }
