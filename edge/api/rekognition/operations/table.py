"""The operations of Amazon Rekognition, and which of them are supported.

``same``: clients see what the service documents. ``partial``: a part is missing, stated in ``note``.
``scripts/write_operations`` writes this table into the README of ``edge/api/rekognition``; a test compares both, and
botocore's model of the service. A module is loaded when one of its operations is called: a device needs few of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call


PACKAGE = __name__.rpartition(".")[0]
READING = ("describe", "list", "get_", "search", "detect", "compare", "recognize")
"""name prefixes of operations that change nothing"""


@dataclass(frozen=True)
class Operation:
    """A supported operation."""

    function: str
    """``module.function`` of this package"""
    queue: Literal["models", "store", "patient"]
    """``patient``: may wait for many seconds"""
    status: Literal["same", "partial"] = "same"
    note: str = ""

    @property
    def changes(self) -> bool:
        """Whether it changes anything, and therefore runs only once per signature."""
        return not self.function.partition(".")[2].startswith(READING)

    def run(self, call: Call) -> dict[str, Any]:
        """The members of the response; raises ApiError or EdgeError. The first call loads the module."""
        return self.loaded()(call)

    def loaded(self) -> Callable[[Call], dict[str, Any]]:
        """The function itself."""
        module, _, name = self.function.partition(".")
        return cast("Callable[[Call], dict[str, Any]]", getattr(importlib.import_module(f"{PACKAGE}.{module}"), name))


_ATTRIBUTES = "attributes of one small model, with the error rates in its card; the emotion CONFUSED is never returned"
_LABELS = "labels of the loaded detectors, not thousands; the foreground is the area of their boxes"
_LABEL_STREAMS = "face search; label detection of PERSON and PET; the video stream is a camera of the settings"
_VIDEO_LABELS = "labels of the loaded detectors, not thousands; five frames per second are analyzed"
_PROJECTS = "AutoUpdate has no effect: there are no base model updates"
_TRAINING = "trained in seconds on the embeddings of a frozen model; KmsKeyId has no effect"
_PERSONS = "needs a detector with the label person; five frames per second, without the path of a body"
_SEGMENTS = "shots at cuts, not at dissolves, and black frames; no credits, slates, bars or logos, no audio"
_CELEBRITIES = "subjects of the collection api.celebrities, 501 where it is not set; KnownGender is always Unlisted"
_MODERATION = "the owner's own labels by api.moderation, or a version of custom labels; 501 without either"
_EQUIPMENT = "the owner's own labels by api.protective_equipment, 501 where it is not set; face and head, not hands"
_COPY = "between projects of this device"
_POLICIES = "always empty: there are no other accounts on a device"
_TEXT = "Latin letters, digits and punctuation, up to 45 degrees from horizontal; no handwriting"
_BULK = "always empty: bulk jobs are not supported"

OPERATIONS: dict[str, Operation] = {
    "CreateCollection": Operation("collections.create_collection", "store"),
    "DescribeCollection": Operation("collections.describe_collection", "store"),
    "ListCollections": Operation("collections.list_collections", "store"),
    "DeleteCollection": Operation("collections.delete_collection", "store"),
    "IndexFaces": Operation("faces.index_faces", "models", "partial", _ATTRIBUTES),
    "ListFaces": Operation("faces.list_faces", "store"),
    "DeleteFaces": Operation("faces.delete_faces", "store"),
    "SearchFaces": Operation("faces.search_faces", "store"),
    "SearchFacesByImage": Operation("faces.search_faces_by_image", "models"),
    "DetectFaces": Operation("images.detect_faces", "models", "partial", _ATTRIBUTES),
    "CompareFaces": Operation("images.compare_faces", "models"),
    "DetectLabels": Operation("labels.detect_labels", "models", "partial", _LABELS),
    "CreateUser": Operation("users.create_user", "store"),
    "DeleteUser": Operation("users.delete_user", "store"),
    "ListUsers": Operation("users.list_users", "store"),
    "AssociateFaces": Operation("users.associate_faces", "store"),
    "DisassociateFaces": Operation("users.disassociate_faces", "store"),
    "SearchUsers": Operation("users.search_users", "store"),
    "SearchUsersByImage": Operation("users.search_users_by_image", "models"),
    "TagResource": Operation("tags.tag_resource", "store"),
    "UntagResource": Operation("tags.untag_resource", "store"),
    "ListTagsForResource": Operation("tags.list_tags_for_resource", "store"),
    "CreateStreamProcessor": Operation("streams.create", "store", "partial", _LABEL_STREAMS),
    "DescribeStreamProcessor": Operation("streams.describe", "store"),
    "ListStreamProcessors": Operation("streams.list_all", "store"),
    "StartStreamProcessor": Operation(
        "streams.start", "store", "partial", "always starts at the current time: a StartSelector in the past is ignored"
    ),
    "StopStreamProcessor": Operation("streams.stop", "store"),
    "UpdateStreamProcessor": Operation("streams.update", "store"),
    "DeleteStreamProcessor": Operation("streams.delete", "store"),
    "CreateProject": Operation("projects.create_project", "store", "partial", _PROJECTS),
    "DescribeProjects": Operation("projects.describe_projects", "store"),
    "DeleteProject": Operation("projects.delete_project", "store"),
    "CreateDataset": Operation("projects.create_dataset", "store"),
    "DescribeDataset": Operation("projects.describe_dataset", "store"),
    "ListDatasetEntries": Operation("projects.list_dataset_entries", "store"),
    "ListDatasetLabels": Operation("projects.list_dataset_labels", "store"),
    "UpdateDatasetEntries": Operation("projects.update_dataset_entries", "store"),
    "DistributeDatasetEntries": Operation("projects.distribute_dataset_entries", "store"),
    "DeleteDataset": Operation("projects.delete_dataset", "store"),
    "CreateProjectVersion": Operation("versions.create_project_version", "patient", "partial", _TRAINING),
    "DescribeProjectVersions": Operation("versions.describe_project_versions", "patient"),
    "StartProjectVersion": Operation("versions.start_project_version", "store"),
    "StopProjectVersion": Operation("versions.stop_project_version", "store"),
    "DeleteProjectVersion": Operation("versions.delete_project_version", "store"),
    "DetectCustomLabels": Operation("versions.detect_custom_labels", "models"),
    "StartFaceSearch": Operation("videos.start_face_search", "store"),
    "GetFaceSearch": Operation("videos.get_face_search", "store"),
    "StartFaceDetection": Operation("videos.start_face_detection", "store", "partial", _ATTRIBUTES),
    "GetFaceDetection": Operation("videos.get_face_detection", "store"),
    "DetectText": Operation("text.detect_text", "models", "partial", _TEXT),
    "StartTextDetection": Operation("text.start_text_detection", "store", "partial", _TEXT),
    "GetTextDetection": Operation("text.get_text_detection", "store"),
    "StartLabelDetection": Operation("videos.start_label_detection", "store", "partial", _VIDEO_LABELS),
    "GetLabelDetection": Operation("videos.get_label_detection", "store"),
    "StartPersonTracking": Operation("videos.start_person_tracking", "models", "partial", _PERSONS),
    "GetPersonTracking": Operation("videos.get_person_tracking", "store"),
    "StartSegmentDetection": Operation("segments.start_segment_detection", "store", "partial", _SEGMENTS),
    "GetSegmentDetection": Operation("segments.get_segment_detection", "store"),
    "RecognizeCelebrities": Operation("celebrities.recognize_celebrities", "models", "partial", _CELEBRITIES),
    "GetCelebrityInfo": Operation("celebrities.get_celebrity_info", "store", "partial", _CELEBRITIES),
    "StartCelebrityRecognition": Operation("videos.start_celebrity_recognition", "store", "partial", _CELEBRITIES),
    "GetCelebrityRecognition": Operation("videos.get_celebrity_recognition", "store"),
    "DetectModerationLabels": Operation("own_labels.detect_moderation_labels", "models", "partial", _MODERATION),
    "StartContentModeration": Operation("videos.start_content_moderation", "store", "partial", _MODERATION),
    "GetContentModeration": Operation("videos.get_content_moderation", "store"),
    "DetectProtectiveEquipment": Operation("own_labels.detect_protective_equipment", "models", "partial", _EQUIPMENT),
    "CopyProjectVersion": Operation("versions.copy_project_version", "store", "partial", _COPY),
    "ListProjectPolicies": Operation("versions.list_project_policies", "store", "partial", _POLICIES),
    "ListMediaAnalysisJobs": Operation("versions.list_media_analysis_jobs", "store", "partial", _BULK),
}

_LIVENESS = "presentation attack detection is not supported"
_POLICY = "there are no other accounts on a device"
_JOBS = "bulk moderation jobs are not supported; use DetectModerationLabels for single pictures"

NOT_HERE: dict[str, str] = {
    **dict.fromkeys(("StartMediaAnalysisJob", "GetMediaAnalysisJob"), _JOBS),
    **dict.fromkeys(("CreateFaceLivenessSession", "GetFaceLivenessSessionResults"), _LIVENESS),
    **dict.fromkeys(("PutProjectPolicy", "DeleteProjectPolicy"), _POLICY),
}
"""operation -> reason of its response 501 NotImplementedException"""


def markdown() -> str:
    """The table of the README: one row per operation, sorted by name."""
    rows: dict[str, tuple[str, str]] = {name: (one.status, one.note) for name, one in OPERATIONS.items()}
    rows |= {name: ("501", reason) for name, reason in NOT_HERE.items()}
    lines = [f"| {name} | {status} | {note} |" for name, (status, note) in sorted(rows.items())]
    return "\n".join(("| operation | support | what is missing, or why |", "|---|---|---|", *lines)) + "\n"
