"""The constraints of every request, as one table: shapes first, then what each operation takes.

botocore checks required members, types and minima before it sends; maxima, patterns, enums and the rest are left
to the server. A test holds this table to botocore's own model of the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.api.rekognition.custom_constraints import inputs as custom_inputs
from edge.api.rekognition.rules import Blob, Flag, Many, Pairs, Real, Record, Rule, Text, Whole
from edge.api.rekognition.video_constraints import inputs as video_inputs

MAX_IMAGE = 5_242_880
"""bytes of an image sent inside the request"""

_NAME = r"[a-zA-Z0-9_.\-]+"
_ID = r"[a-zA-Z0-9_.\-:]+"
# Unicode's letters and numbers are \w here; separators are spelled out, since \s would let line breaks pass
_TAG = r"[\w \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000.:/=+\-@]*"

COLLECTION_ID = Text(1, 255, _NAME)
EXTERNAL_IMAGE_ID = Text(1, 255, _ID)
USER_ID = Text(1, 128, _ID)
FACE_ID = Text(0, None, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
FACE_IDS = Many(FACE_ID, 1, 4096)
USER_FACE_IDS = Many(FACE_ID, 1, 100)
TOKEN = Text(1, 64, r"[a-zA-Z0-9\-_]+")
PAGE_TOKEN = Text(0, 255)
PAGE_SIZE = Whole(0, 4096)
PERCENT = Real(0, 100)
NUMBER = Real()
MAX_USERS = Whole(1, 500)
MAX_FACES = Whole(1, 4096)
TAG_KEY = Text(1, 128, "(?!aws:)" + _TAG)
TAGS = Pairs(TAG_KEY, Text(0, 256, _TAG), 200)
ARN = Text(20, 2048)
QUALITY_FILTER = Text(choices=("NONE", "AUTO", "LOW", "MEDIUM", "HIGH"))
ATTRIBUTES = Many(
    Text(
        choices=(
            "DEFAULT", "ALL", "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN",
            "GENDER", "MOUTH_OPEN", "MUSTACHE", "FACE_OCCLUDED", "SMILE", "SUNGLASSES",
        )
    )
)  # fmt: skip

BUCKET = Text(3, 255, r"[0-9A-Za-z\.\-_]*")
S3_OBJECT = Record({"Bucket": BUCKET, "Name": Text(1, 1024), "Version": Text(1, 1024)})
IMAGE = Record({"Bytes": Blob(1, MAX_IMAGE), "S3Object": S3_OBJECT}, union=("Bytes", "S3Object"))

_FILTER = Many(Text(0, 50, r"[A-Za-z0-9àâèçñó'-_(). ]*"), 0, 100)
GENERAL_LABELS = Record(
    {
        "LabelInclusionFilters": _FILTER,
        "LabelExclusionFilters": _FILTER,
        "LabelCategoryInclusionFilters": _FILTER,
        "LabelCategoryExclusionFilters": _FILTER,
    }
)

BOUNDING_BOX = Record({"Width": NUMBER, "Height": NUMBER, "Left": NUMBER, "Top": NUMBER})
POLYGON = Many(Record({"X": NUMBER, "Y": NUMBER}))
REGIONS = Many(Record({"BoundingBox": BOUNDING_BOX, "Polygon": POLYGON}), 0, 10)

PROCESSOR = Text(1, 128, _NAME)
HOME_LABELS = Many(Text(), 1, 128)
SHARING = Record({"OptIn*": Flag()})
_REGION_AND_ACCOUNT = r"([a-z\d-]+):\d{12}:.+"
VIDEO_STREAM = Record({"Arn": Text(pattern=r"arn:([a-z\d-]+):kinesisvideo:" + _REGION_AND_ACCOUNT)})
DATA_STREAM = Record({"Arn": Text(pattern=r"arn:([a-z\d-]+):kinesis:" + _REGION_AND_ACCOUNT)})
CREATE_PROCESSOR: dict[str, Rule] = {
    "Input*": Record({"KinesisVideoStream": VIDEO_STREAM}),
    "Output*": Record(
        {"KinesisDataStream": DATA_STREAM, "S3Destination": Record({"Bucket": BUCKET, "KeyPrefix": Text(0, 1024)})}
    ),
    "Name*": PROCESSOR,
    "Settings*": Record(
        {
            "FaceSearch": Record({"CollectionId": COLLECTION_ID, "FaceMatchThreshold": PERCENT}),
            "ConnectedHome": Record({"Labels*": HOME_LABELS, "MinConfidence": PERCENT}),
        }
    ),
    "RoleArn*": Text(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
    "Tags": TAGS,
    "NotificationChannel": Record({"SNSTopicArn*": Text(pattern=r"arn:aws:sns:.*:\w{12}:.+")}),
    "KmsKeyId": Text(1, 2048, r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}"),
    "RegionsOfInterest": REGIONS,
    "DataSharingPreference": SHARING,
}
START_PROCESSOR: dict[str, Rule] = {
    "Name*": PROCESSOR,
    "StartSelector": Record(
        {"KVSStreamStartSelector": Record({"ProducerTimestamp": Whole(0), "FragmentNumber": Text(1, 128, "[0-9]+")})}
    ),
    "StopSelector": Record({"MaxDurationInSeconds": Whole(1, 120)}),
}
UPDATE_PROCESSOR: dict[str, Rule] = {
    "Name*": PROCESSOR,
    "SettingsForUpdate": Record({"ConnectedHomeForUpdate": Record({"Labels": HOME_LABELS, "MinConfidence": PERCENT})}),
    "RegionsOfInterestForUpdate": REGIONS,
    "DataSharingPreferenceForUpdate": SHARING,
    "ParametersToDelete": Many(Text(choices=("ConnectedHomeMinConfidence", "RegionsOfInterest"))),
}

_PAGES: dict[str, Rule] = {"NextToken": PAGE_TOKEN, "MaxResults": PAGE_SIZE}
_COLLECTION: dict[str, Rule] = {"CollectionId*": COLLECTION_ID}
_USER: dict[str, Rule] = {**_COLLECTION, "UserId*": USER_ID, "ClientRequestToken": TOKEN}
_DETECT_LABELS: dict[str, Rule] = {
    "Image*": IMAGE,
    "MaxLabels": Whole(0),
    "MinConfidence": PERCENT,
    "Features": Many(Text(choices=("GENERAL_LABELS", "IMAGE_PROPERTIES")), 0, 2),
    "Settings": Record(
        {"GeneralLabels": GENERAL_LABELS, "ImageProperties": Record({"MaxDominantColors": Whole(0, 20)})}
    ),
}
_SEARCH: dict[str, Rule] = {**_COLLECTION, "MaxFaces": MAX_FACES, "FaceMatchThreshold": PERCENT}
_SEARCH_USERS: dict[str, Rule] = {**_COLLECTION, "UserMatchThreshold": PERCENT, "MaxUsers": MAX_USERS}

INPUTS: Mapping[str, Record] = {
    "CreateCollection": Record({**_COLLECTION, "Tags": TAGS}),
    "DescribeCollection": Record(_COLLECTION),
    "ListCollections": Record(_PAGES),
    "DeleteCollection": Record(_COLLECTION),
    "IndexFaces": Record(
        {
            **_COLLECTION, "Image*": IMAGE, "ExternalImageId": EXTERNAL_IMAGE_ID, "DetectionAttributes": ATTRIBUTES,
            "MaxFaces": Whole(1), "QualityFilter": QUALITY_FILTER,
        }
    ),
    "ListFaces": Record({**_COLLECTION, **_PAGES, "UserId": USER_ID, "FaceIds": FACE_IDS}),
    "DeleteFaces": Record({**_COLLECTION, "FaceIds*": FACE_IDS}),
    "SearchFaces": Record({**_SEARCH, "FaceId*": FACE_ID}),
    "SearchFacesByImage": Record({**_SEARCH, "Image*": IMAGE, "QualityFilter": QUALITY_FILTER}),
    "DetectFaces": Record({"Image*": IMAGE, "Attributes": ATTRIBUTES}),
    "CompareFaces": Record(
        {
            "SourceImage*": IMAGE, "TargetImage*": IMAGE, "SimilarityThreshold": PERCENT,
            "QualityFilter": QUALITY_FILTER,
        }
    ),
    "DetectLabels": Record(_DETECT_LABELS),
    "CreateUser": Record(_USER),
    "DeleteUser": Record(_USER),
    "ListUsers": Record({**_COLLECTION, "MaxResults": MAX_USERS, "NextToken": PAGE_TOKEN}),
    "AssociateFaces": Record({**_USER, "FaceIds*": USER_FACE_IDS, "UserMatchThreshold": PERCENT}),
    "DisassociateFaces": Record({**_USER, "FaceIds*": USER_FACE_IDS}),
    "SearchUsers": Record({**_SEARCH_USERS, "UserId": USER_ID, "FaceId": FACE_ID}, union=("UserId", "FaceId")),
    "SearchUsersByImage": Record({**_SEARCH_USERS, "Image*": IMAGE, "QualityFilter": QUALITY_FILTER}),
    "TagResource": Record({"ResourceArn*": ARN, "Tags*": TAGS}),
    "UntagResource": Record({"ResourceArn*": ARN, "TagKeys*": Many(TAG_KEY, 0, 200)}),
    "ListTagsForResource": Record({"ResourceArn*": ARN}),
    "CreateStreamProcessor": Record(CREATE_PROCESSOR),
    "DescribeStreamProcessor": Record({"Name*": PROCESSOR}),
    "ListStreamProcessors": Record({"NextToken": PAGE_TOKEN, "MaxResults": Whole(1)}),
    "StartStreamProcessor": Record(START_PROCESSOR),
    "StopStreamProcessor": Record({"Name*": PROCESSOR}),
    "UpdateStreamProcessor": Record(UPDATE_PROCESSOR),
    "DeleteStreamProcessor": Record({"Name*": PROCESSOR}),
    **custom_inputs(IMAGE, PERCENT, BUCKET, S3_OBJECT, TAGS),
    **video_inputs(S3_OBJECT, PERCENT, COLLECTION_ID, GENERAL_LABELS, PAGE_TOKEN),
}  # fmt: skip


def checked(operation: str, body: object) -> dict[str, Any]:
    """The request as its operation sees it: known members only, blobs as bytes. Raises ApiError."""
    return INPUTS[operation].checked(body, "")
