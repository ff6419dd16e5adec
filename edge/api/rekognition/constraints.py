"""Constraints of every request in one table: shapes first, then the members of each operation.

botocore validates required members, types and minima before it sends; maxima, patterns, enums and the rest are left
to the server. A test compares this table with botocore's model of the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.api.rekognition.rules import (
    BooleanRule,
    BytesRule,
    FloatRule,
    IntegerRule,
    ListRule,
    MapRule,
    Rule,
    StringRule,
    StructureRule,
    ViolationError,
    validation_error,
)

MAX_IMAGE = 5_242_880
"""bytes of an image sent inside the request"""

_NAME = r"[a-zA-Z0-9_.\-]+"
_ID = r"[a-zA-Z0-9_.\-:]+"
# \w includes Unicode letters and digits; separators are listed, because \s would accept line breaks
_TAG = r"[\w \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000.:/=+\-@]*"

COLLECTION_ID = StringRule(1, 255, _NAME)
EXTERNAL_IMAGE_ID = StringRule(1, 255, _ID)
USER_ID = StringRule(1, 128, _ID)
FACE_ID = StringRule(0, None, r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
FACE_IDS = ListRule(FACE_ID, 1, 4096)
USER_FACE_IDS = ListRule(FACE_ID, 1, 100)
TOKEN = StringRule(1, 64, r"[a-zA-Z0-9\-_]+")
PAGE_TOKEN = StringRule(0, 255)
PAGE_SIZE = IntegerRule(0, 4096)
PERCENT = FloatRule(0, 100)
NUMBER = FloatRule()
MAX_USERS = IntegerRule(1, 500)
MAX_FACES = IntegerRule(1, 4096)
TAG_KEY = StringRule(1, 128, "(?!aws:)" + _TAG)
TAGS = MapRule(TAG_KEY, StringRule(0, 256, _TAG), 200)
ARN = StringRule(20, 2048)
QUALITY_FILTER = StringRule(choices=("NONE", "AUTO", "LOW", "MEDIUM", "HIGH"))
ATTRIBUTES = ListRule(
    StringRule(
        choices=(
            "DEFAULT", "ALL", "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN",
            "GENDER", "MOUTH_OPEN", "MUSTACHE", "FACE_OCCLUDED", "SMILE", "SUNGLASSES",
        )
    )
)  # fmt: skip

BUCKET = StringRule(3, 255, r"[0-9A-Za-z\.\-_]*")
S3_OBJECT = StructureRule({"Bucket": BUCKET, "Name": StringRule(1, 1024), "Version": StringRule(1, 1024)})
IMAGE = StructureRule({"Bytes": BytesRule(1, MAX_IMAGE), "S3Object": S3_OBJECT}, union=("Bytes", "S3Object"))

_FILTER = ListRule(StringRule(0, 50, r"[A-Za-z0-9àâèçñó'-_(). ]*"), 0, 100)
GENERAL_LABELS = StructureRule(
    {
        "LabelInclusionFilters": _FILTER,
        "LabelExclusionFilters": _FILTER,
        "LabelCategoryInclusionFilters": _FILTER,
        "LabelCategoryExclusionFilters": _FILTER,
    }
)

BOUNDING_BOX = StructureRule({"Width": NUMBER, "Height": NUMBER, "Left": NUMBER, "Top": NUMBER})
POLYGON = ListRule(StructureRule({"X": NUMBER, "Y": NUMBER}))
REGIONS = ListRule(StructureRule({"BoundingBox": BOUNDING_BOX, "Polygon": POLYGON}), 0, 10)

PROCESSOR = StringRule(1, 128, _NAME)
HOME_LABELS = ListRule(StringRule(), 1, 128)
SHARING = StructureRule({"OptIn*": BooleanRule()})
_REGION_AND_ACCOUNT = r"([a-z\d-]+):\d{12}:.+"
VIDEO_STREAM = StructureRule({"Arn": StringRule(pattern=r"arn:([a-z\d-]+):kinesisvideo:" + _REGION_AND_ACCOUNT)})
DATA_STREAM = StructureRule({"Arn": StringRule(pattern=r"arn:([a-z\d-]+):kinesis:" + _REGION_AND_ACCOUNT)})
CREATE_PROCESSOR: dict[str, Rule] = {
    "Input*": StructureRule({"KinesisVideoStream": VIDEO_STREAM}),
    "Output*": StructureRule(
        {
            "KinesisDataStream": DATA_STREAM,
            "S3Destination": StructureRule({"Bucket": BUCKET, "KeyPrefix": StringRule(0, 1024)}),
        }
    ),
    "Name*": PROCESSOR,
    "Settings*": StructureRule(
        {
            "FaceSearch": StructureRule({"CollectionId": COLLECTION_ID, "FaceMatchThreshold": PERCENT}),
            "ConnectedHome": StructureRule({"Labels*": HOME_LABELS, "MinConfidence": PERCENT}),
        }
    ),
    "RoleArn*": StringRule(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
    "Tags": TAGS,
    "NotificationChannel": StructureRule({"SNSTopicArn*": StringRule(pattern=r"arn:aws:sns:.*:\w{12}:.+")}),
    "KmsKeyId": StringRule(1, 2048, r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}"),
    "RegionsOfInterest": REGIONS,
    "DataSharingPreference": SHARING,
}
START_PROCESSOR: dict[str, Rule] = {
    "Name*": PROCESSOR,
    "StartSelector": StructureRule(
        {
            "KVSStreamStartSelector": StructureRule(
                {"ProducerTimestamp": IntegerRule(0), "FragmentNumber": StringRule(1, 128, "[0-9]+")}
            )
        }
    ),
    "StopSelector": StructureRule({"MaxDurationInSeconds": IntegerRule(1, 120)}),
}
UPDATE_PROCESSOR: dict[str, Rule] = {
    "Name*": PROCESSOR,
    "SettingsForUpdate": StructureRule(
        {"ConnectedHomeForUpdate": StructureRule({"Labels": HOME_LABELS, "MinConfidence": PERCENT})}
    ),
    "RegionsOfInterestForUpdate": REGIONS,
    "DataSharingPreferenceForUpdate": SHARING,
    "ParametersToDelete": ListRule(StringRule(choices=("ConnectedHomeMinConfidence", "RegionsOfInterest"))),
}

MAX_CHANGES = 5_242_880
"""bytes of manifest lines per request"""
PROJECT_NAME = StringRule(1, 255, r"[a-zA-Z0-9_.\-]+")
_PROJECT_ARN = r"arn:[a-z\d-]+:rekognition:[a-z\d-]+:\d{12}:project\/[a-zA-Z0-9_.\-]{1,255}"
PROJECT = StringRule(20, 2048, _PROJECT_ARN + r"\/[0-9]+")
DATASET = StringRule(20, 2048, _PROJECT_ARN + r"\/dataset\/(train|test)\/[0-9]+")
VERSION = StringRule(20, 2048, _PROJECT_ARN + r"\/version\/[a-zA-Z0-9_.\-]{1,255}\/[0-9]+")
FEATURE = StringRule(choices=("CUSTOM_LABELS", "CONTENT_MODERATION"))
_PROJECT_PAGES: dict[str, Rule] = {"NextToken": StringRule(0, 1024), "MaxResults": IntegerRule(1, 100)}
MANIFEST = StructureRule({"S3Object": S3_OBJECT})
ASSETS = ListRule(StructureRule({"GroundTruthManifest": MANIFEST}))
CONFIDENCE = StructureRule({"ConfidenceThreshold": PERCENT})
CHANNEL = StructureRule(
    {
        "SNSTopicArn*": StringRule(pattern=r"arn:aws:sns:.*:\w{12}:.+"),
        "RoleArn*": StringRule(pattern=r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
    }
)
_START: dict[str, Rule] = {
    "Video*": StructureRule({"S3Object": S3_OBJECT}),
    "ClientRequestToken": TOKEN,
    "NotificationChannel": CHANNEL,
    "JobTag": StringRule(1, 1024, r"[a-zA-Z0-9_.\-:+=\/]+"),
}
_GET: dict[str, Rule] = {"JobId*": TOKEN, "MaxResults": IntegerRule(1), "NextToken": PAGE_TOKEN}

_RATIO = FloatRule(0, 1)
TEXT_FILTERS = StructureRule(
    {
        "WordFilter": StructureRule(
            {"MinConfidence": PERCENT, "MinBoundingBoxHeight": _RATIO, "MinBoundingBoxWidth": _RATIO}
        ),
        "RegionsOfInterest": REGIONS,
    }
)

SEGMENT_CONFIDENCE = FloatRule(50, 100)
SEGMENT_FILTERS = StructureRule(
    {
        "TechnicalCueFilter": StructureRule(
            {
                "MinSegmentConfidence": SEGMENT_CONFIDENCE,
                "BlackFrame": StructureRule({"MaxPixelThreshold": FloatRule(0, 1), "MinCoveragePercentage": PERCENT}),
            }
        ),
        "ShotFilter": StructureRule({"MinSegmentConfidence": SEGMENT_CONFIDENCE}),
    }
)
HUMAN_LOOP = StructureRule(
    {
        "HumanLoopName*": StringRule(1, 63, r"[a-z0-9](-*[a-z0-9])*"),
        "FlowDefinitionArn*": StringRule(0, 256),
        "DataAttributes": StructureRule(
            {
                "ContentClassifiers": ListRule(
                    StringRule(choices=("FreeOfPersonallyIdentifiableInformation", "FreeOfAdultContent")), 0, 256
                )
            }
        ),
    }
)

_PAGES: dict[str, Rule] = {"NextToken": PAGE_TOKEN, "MaxResults": PAGE_SIZE}
_COLLECTION: dict[str, Rule] = {"CollectionId*": COLLECTION_ID}
_USER: dict[str, Rule] = {**_COLLECTION, "UserId*": USER_ID, "ClientRequestToken": TOKEN}
_DETECT_LABELS: dict[str, Rule] = {
    "Image*": IMAGE,
    "MaxLabels": IntegerRule(0),
    "MinConfidence": PERCENT,
    "Features": ListRule(StringRule(choices=("GENERAL_LABELS", "IMAGE_PROPERTIES")), 0, 2),
    "Settings": StructureRule(
        {"GeneralLabels": GENERAL_LABELS, "ImageProperties": StructureRule({"MaxDominantColors": IntegerRule(0, 20)})}
    ),
}
_SEARCH: dict[str, Rule] = {**_COLLECTION, "MaxFaces": MAX_FACES, "FaceMatchThreshold": PERCENT}
_SEARCH_USERS: dict[str, Rule] = {**_COLLECTION, "UserMatchThreshold": PERCENT, "MaxUsers": MAX_USERS}

INPUTS: Mapping[str, StructureRule] = {
    "CreateCollection": StructureRule({**_COLLECTION, "Tags": TAGS}),
    "DescribeCollection": StructureRule(_COLLECTION),
    "ListCollections": StructureRule(_PAGES),
    "DeleteCollection": StructureRule(_COLLECTION),
    "IndexFaces": StructureRule(
        {
            **_COLLECTION, "Image*": IMAGE, "ExternalImageId": EXTERNAL_IMAGE_ID, "DetectionAttributes": ATTRIBUTES,
            "MaxFaces": IntegerRule(1), "QualityFilter": QUALITY_FILTER,
        }
    ),
    "ListFaces": StructureRule({**_COLLECTION, **_PAGES, "UserId": USER_ID, "FaceIds": FACE_IDS}),
    "DeleteFaces": StructureRule({**_COLLECTION, "FaceIds*": FACE_IDS}),
    "SearchFaces": StructureRule({**_SEARCH, "FaceId*": FACE_ID}),
    "SearchFacesByImage": StructureRule({**_SEARCH, "Image*": IMAGE, "QualityFilter": QUALITY_FILTER}),
    "DetectFaces": StructureRule({"Image*": IMAGE, "Attributes": ATTRIBUTES}),
    "CompareFaces": StructureRule(
        {
            "SourceImage*": IMAGE, "TargetImage*": IMAGE, "SimilarityThreshold": PERCENT,
            "QualityFilter": QUALITY_FILTER,
        }
    ),
    "DetectLabels": StructureRule(_DETECT_LABELS),
    "CreateUser": StructureRule(_USER),
    "DeleteUser": StructureRule(_USER),
    "ListUsers": StructureRule({**_COLLECTION, "MaxResults": MAX_USERS, "NextToken": PAGE_TOKEN}),
    "AssociateFaces": StructureRule({**_USER, "FaceIds*": USER_FACE_IDS, "UserMatchThreshold": PERCENT}),
    "DisassociateFaces": StructureRule({**_USER, "FaceIds*": USER_FACE_IDS}),
    "SearchUsers": StructureRule({**_SEARCH_USERS, "UserId": USER_ID, "FaceId": FACE_ID}, union=("UserId", "FaceId")),
    "SearchUsersByImage": StructureRule({**_SEARCH_USERS, "Image*": IMAGE, "QualityFilter": QUALITY_FILTER}),
    "TagResource": StructureRule({"ResourceArn*": ARN, "Tags*": TAGS}),
    "UntagResource": StructureRule({"ResourceArn*": ARN, "TagKeys*": ListRule(TAG_KEY, 0, 200)}),
    "ListTagsForResource": StructureRule({"ResourceArn*": ARN}),
    "CreateStreamProcessor": StructureRule(CREATE_PROCESSOR),
    "DescribeStreamProcessor": StructureRule({"Name*": PROCESSOR}),
    "ListStreamProcessors": StructureRule({"NextToken": PAGE_TOKEN, "MaxResults": IntegerRule(1)}),
    "StartStreamProcessor": StructureRule(START_PROCESSOR),
    "StopStreamProcessor": StructureRule({"Name*": PROCESSOR}),
    "UpdateStreamProcessor": StructureRule(UPDATE_PROCESSOR),
    "DeleteStreamProcessor": StructureRule({"Name*": PROCESSOR}),
    "CreateProject": StructureRule(
        {
            "ProjectName*": PROJECT_NAME, "Feature": FEATURE, "AutoUpdate": StringRule(choices=("ENABLED", "DISABLED")),
            "Tags": TAGS,
        }
    ),
    "DescribeProjects": StructureRule(
        {**_PROJECT_PAGES, "ProjectNames": ListRule(PROJECT_NAME, 1, 10), "Features": ListRule(FEATURE, 1, 2)}
    ),
    "DeleteProject": StructureRule({"ProjectArn*": PROJECT}),
    "CreateDataset": StructureRule(
        {
            "DatasetSource": StructureRule({"GroundTruthManifest": MANIFEST, "DatasetArn": DATASET}),
            "DatasetType*": StringRule(choices=("TRAIN", "TEST")), "ProjectArn*": PROJECT, "Tags": TAGS,
        }
    ),
    "DescribeDataset": StructureRule({"DatasetArn*": DATASET}),
    "ListDatasetEntries": StructureRule(
        {
            **_PROJECT_PAGES, "DatasetArn*": DATASET, "ContainsLabels": ListRule(StringRule(1, 255, ".{1,}"), 1, 10),
            "Labeled": BooleanRule(), "HasErrors": BooleanRule(),
            "SourceRefContains": StringRule(1, 2048, r".*\S.*"),
        }
    ),
    "ListDatasetLabels": StructureRule({**_PROJECT_PAGES, "DatasetArn*": DATASET}),
    "UpdateDatasetEntries": StructureRule(
        {"DatasetArn*": DATASET, "Changes*": StructureRule({"GroundTruth*": BytesRule(1, MAX_CHANGES)})}
    ),
    "DistributeDatasetEntries": StructureRule({"Datasets*": ListRule(StructureRule({"Arn*": DATASET}), 2, 2)}),
    "DeleteDataset": StructureRule({"DatasetArn*": DATASET}),
    "CreateProjectVersion": StructureRule(
        {
            "ProjectArn*": PROJECT, "VersionName*": PROJECT_NAME,
            "OutputConfig*": StructureRule({"S3Bucket": BUCKET, "S3KeyPrefix": StringRule(0, 1024)}),
            "TrainingData": StructureRule({"Assets": ASSETS}),
            "TestingData": StructureRule({"Assets": ASSETS, "AutoCreate": BooleanRule()}), "Tags": TAGS,
            "KmsKeyId": StringRule(1, 2048, r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}"),
            "VersionDescription": StringRule(1, 255, r"[a-zA-Z0-9\-_. ()':,;?]+"),
            "FeatureConfig": StructureRule({"ContentModeration": CONFIDENCE}),
        }
    ),
    "DescribeProjectVersions": StructureRule(
        {**_PROJECT_PAGES, "ProjectArn*": PROJECT, "VersionNames": ListRule(PROJECT_NAME, 1, 10)}
    ),
    "StartProjectVersion": StructureRule(
        {"ProjectVersionArn*": VERSION, "MinInferenceUnits*": IntegerRule(1), "MaxInferenceUnits": IntegerRule(1)}
    ),
    "StopProjectVersion": StructureRule({"ProjectVersionArn*": VERSION}),
    "DeleteProjectVersion": StructureRule({"ProjectVersionArn*": VERSION}),
    "DetectCustomLabels": StructureRule(
        {"ProjectVersionArn*": VERSION, "Image*": IMAGE, "MaxResults": IntegerRule(0), "MinConfidence": PERCENT}
    ),
    "StartFaceSearch": StructureRule({**_START, "FaceMatchThreshold": PERCENT, "CollectionId*": COLLECTION_ID}),
    "GetFaceSearch": StructureRule({**_GET, "SortBy": StringRule(choices=("INDEX", "TIMESTAMP"))}),
    "StartFaceDetection": StructureRule({**_START, "FaceAttributes": StringRule(choices=("DEFAULT", "ALL"))}),
    "GetFaceDetection": StructureRule(_GET),
    "DetectText": StructureRule({"Image*": IMAGE, "Filters": TEXT_FILTERS}),
    "StartTextDetection": StructureRule({**_START, "Filters": TEXT_FILTERS}),
    "GetTextDetection": StructureRule(_GET),
    "StartLabelDetection": StructureRule(
        {
            **_START,
            "MinConfidence": PERCENT,
            "Features": ListRule(StringRule(choices=("GENERAL_LABELS",)), 0, 1),
            "Settings": StructureRule({"GeneralLabels": GENERAL_LABELS}),
        }
    ),
    "GetLabelDetection": StructureRule(
        {
            **_GET,
            "SortBy": StringRule(choices=("NAME", "TIMESTAMP")),
            "AggregateBy": StringRule(choices=("TIMESTAMPS", "SEGMENTS")),
        }
    ),
    "RecognizeCelebrities": StructureRule({"Image*": IMAGE}),
    "GetCelebrityInfo": StructureRule({"Id*": StringRule(pattern="[0-9A-Za-z]*")}),
    "StartCelebrityRecognition": StructureRule(_START),
    "GetCelebrityRecognition": StructureRule({**_GET, "SortBy": StringRule(choices=("ID", "TIMESTAMP"))}),
    "StartPersonTracking": StructureRule(_START),
    "GetPersonTracking": StructureRule({**_GET, "SortBy": StringRule(choices=("INDEX", "TIMESTAMP"))}),
    "StartSegmentDetection": StructureRule(
        {
            **_START, "Filters": SEGMENT_FILTERS,
            "SegmentTypes*": ListRule(StringRule(choices=("TECHNICAL_CUE", "SHOT")), 1),
        }
    ),
    "GetSegmentDetection": StructureRule(_GET),
    "StartContentModeration": StructureRule({**_START, "MinConfidence": PERCENT}),
    "GetContentModeration": StructureRule(
        {
            **_GET, "SortBy": StringRule(choices=("NAME", "TIMESTAMP")),
            "AggregateBy": StringRule(choices=("TIMESTAMPS", "SEGMENTS")),
        }
    ),
    "DetectModerationLabels": StructureRule(
        {"Image*": IMAGE, "MinConfidence": PERCENT, "HumanLoopConfig": HUMAN_LOOP, "ProjectVersion": VERSION}
    ),
    "DetectProtectiveEquipment": StructureRule(
        {
            "Image*": IMAGE,
            "SummarizationAttributes": StructureRule(
                {
                    "MinConfidence*": PERCENT,
                    "RequiredEquipmentTypes*": ListRule(
                        StringRule(choices=("FACE_COVER", "HAND_COVER", "HEAD_COVER"))
                    ),
                }
            ),
        }
    ),
    "CopyProjectVersion": StructureRule(
        {
            "SourceProjectArn*": PROJECT, "SourceProjectVersionArn*": VERSION, "DestinationProjectArn*": PROJECT,
            "VersionName*": PROJECT_NAME,
            "OutputConfig*": StructureRule({"S3Bucket": BUCKET, "S3KeyPrefix": StringRule(0, 1024)}), "Tags": TAGS,
            "KmsKeyId": StringRule(1, 2048, r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,2048}"),
        }
    ),
    "ListProjectPolicies": StructureRule(
        {"ProjectArn*": PROJECT, "NextToken": StringRule(0, 1024), "MaxResults": IntegerRule(1, 5)}
    ),
    "ListMediaAnalysisJobs": StructureRule(_PROJECT_PAGES),
}  # fmt: skip


def checked(operation: str, body: object) -> dict[str, Any]:
    """The validated request: known members only, blobs as bytes. Raises ApiError."""
    try:
        return INPUTS[operation].checked(body, "")
    except ViolationError as error:
        raise validation_error(error) from None
