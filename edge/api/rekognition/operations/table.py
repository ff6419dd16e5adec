"""The operations of Amazon Rekognition: which are here, how much of each, and which are not.

``same``: what a client sees is what the service documents. ``partial``: a part is missing, ``note`` says which.
The README shows this table; a test holds the two and botocore's model of the service together.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.api.rekognition.call import Call


READING = ("describe", "list", "get_", "search", "detect", "compare", "recognize")
"""how functions of operations begin that change nothing"""


@dataclass(frozen=True)
class Operation:
    """One operation that is here."""

    target: str
    """``module:function`` in this folder; ``function(call)`` gives the answer's members"""
    lane: Literal["models", "store"]
    status: Literal["same", "partial"] = "same"
    note: str = ""

    @property
    def changes(self) -> bool:
        """Whether it changes anything: done once for each signature."""
        return not self.target.rpartition(":")[2].startswith(READING)

    @cached_property
    def _function(self) -> Callable[[Call], dict[str, Any]]:
        module, _, name = self.target.partition(":")
        function: Callable[[Call], dict[str, Any]] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        return function

    def run(self, call: Call) -> dict[str, Any]:
        """The answer. Raises ApiError or EdgeError."""
        return self._function(call)


_ATTRIBUTES = "box, landmarks (5), pose, quality; attributes that no model here can tell are left out"
_LABELS = "labels of the loaded detectors, not thousands; colors of the whole picture, not of each instance"
_LABEL_STREAMS = "face search; label detection of PERSON and PET; a camera of the settings stands for the video stream"
_VIDEO_LABELS = "labels of the loaded detectors, not thousands; five frames a second are looked at"
_PROJECTS = "custom labels only, not moderation; AutoUpdate changes nothing; tags are not kept"
_TRAINING = "learned in seconds on the embeddings of a frozen model; KmsKeyId changes nothing; tags are not kept"
_RESULTS = "F1 and the summary file; no manifests of the results"

OPERATIONS: dict[str, Operation] = {
    "CreateCollection": Operation("collections:create_collection", "store"),
    "DescribeCollection": Operation("collections:describe_collection", "store"),
    "ListCollections": Operation("collections:list_collections", "store"),
    "DeleteCollection": Operation("collections:delete_collection", "store"),
    "IndexFaces": Operation("faces:index_faces", "models", "partial", _ATTRIBUTES),
    "ListFaces": Operation("faces:list_faces", "store"),
    "DeleteFaces": Operation("faces:delete_faces", "store"),
    "SearchFaces": Operation("faces:search_faces", "store"),
    "SearchFacesByImage": Operation("faces:search_faces_by_image", "models"),
    "DetectFaces": Operation("images:detect_faces", "models", "partial", _ATTRIBUTES),
    "CompareFaces": Operation("images:compare_faces", "models"),
    "DetectLabels": Operation("labels:detect_labels", "models", "partial", _LABELS),
    "CreateUser": Operation("users:create_user", "store"),
    "DeleteUser": Operation("users:delete_user", "store"),
    "ListUsers": Operation("users:list_users", "store"),
    "AssociateFaces": Operation("users:associate_faces", "store"),
    "DisassociateFaces": Operation("users:disassociate_faces", "store"),
    "SearchUsers": Operation("users:search_users", "store"),
    "SearchUsersByImage": Operation("users:search_users_by_image", "models"),
    "TagResource": Operation("tags:tag_resource", "store"),
    "UntagResource": Operation("tags:untag_resource", "store"),
    "ListTagsForResource": Operation("tags:list_tags_for_resource", "store"),
    "CreateStreamProcessor": Operation("streams:create", "store", "partial", _LABEL_STREAMS),
    "DescribeStreamProcessor": Operation("streams:describe", "store"),
    "ListStreamProcessors": Operation("streams:list_all", "store"),
    "StartStreamProcessor": Operation(
        "streams:start", "store", "partial", "starts at the present: a StartSelector's place in the past is not sought"
    ),
    "StopStreamProcessor": Operation("streams:stop", "store"),
    "UpdateStreamProcessor": Operation("streams:update", "store"),
    "DeleteStreamProcessor": Operation("streams:delete", "store"),
    "CreateProject": Operation("projects:create_project", "store", "partial", _PROJECTS),
    "DescribeProjects": Operation("projects:describe_projects", "store"),
    "DeleteProject": Operation("projects:delete_project", "store"),
    "CreateDataset": Operation("projects:create_dataset", "store"),
    "DescribeDataset": Operation("projects:describe_dataset", "store"),
    "ListDatasetEntries": Operation("projects:list_dataset_entries", "store"),
    "ListDatasetLabels": Operation("projects:list_dataset_labels", "store"),
    "UpdateDatasetEntries": Operation("projects:update_dataset_entries", "store"),
    "DistributeDatasetEntries": Operation("projects:distribute_dataset_entries", "store"),
    "DeleteDataset": Operation("projects:delete_dataset", "store"),
    "CreateProjectVersion": Operation("versions:create_project_version", "store", "partial", _TRAINING),
    "DescribeProjectVersions": Operation("versions:describe_project_versions", "store", "partial", _RESULTS),
    "StartProjectVersion": Operation("versions:start_project_version", "store"),
    "StopProjectVersion": Operation("versions:stop_project_version", "store"),
    "DeleteProjectVersion": Operation("versions:delete_project_version", "store"),
    "DetectCustomLabels": Operation("versions:detect_custom_labels", "models"),
    "StartFaceSearch": Operation("videos:start_face_search", "store"),
    "GetFaceSearch": Operation("videos:get_face_search", "store"),
    "StartFaceDetection": Operation("videos:start_face_detection", "store", "partial", _ATTRIBUTES),
    "GetFaceDetection": Operation("videos:get_face_detection", "store"),
    "StartLabelDetection": Operation("videos:start_label_detection", "store", "partial", _VIDEO_LABELS),
    "GetLabelDetection": Operation("videos:get_label_detection", "store"),
}

_CUSTOM_LABELS = "there are no other accounts to copy from"
_VIDEO = "StartFaceSearch and edge analyze follow people"
_CELEBRITIES = "it needs Amazon's own collection of celebrities"
_LIVENESS = "it needs Amazon's browser component"
_POLICY = "there are no other accounts on a device"
_MODERATION = "it needs a moderation model"
_TEXT = "it needs a model that reads text"
_SHOTS = "it needs a model of shots and segments"
_BULK = "bulk jobs run in the cloud"

NOT_HERE: dict[str, str] = {
    "CopyProjectVersion": _CUSTOM_LABELS,
    **dict.fromkeys(("StartPersonTracking", "GetPersonTracking"), _VIDEO),
    **dict.fromkeys(("DetectText", "StartTextDetection", "GetTextDetection"), _TEXT),
    **dict.fromkeys(("DetectModerationLabels", "StartContentModeration", "GetContentModeration"), _MODERATION),
    **dict.fromkeys(("StartSegmentDetection", "GetSegmentDetection"), _SHOTS),
    **dict.fromkeys(("StartMediaAnalysisJob", "GetMediaAnalysisJob", "ListMediaAnalysisJobs"), _BULK),
    "DetectProtectiveEquipment": "it needs a model of protective equipment",
    **dict.fromkeys(
        ("RecognizeCelebrities", "GetCelebrityInfo", "StartCelebrityRecognition", "GetCelebrityRecognition"),
        _CELEBRITIES,
    ),
    **dict.fromkeys(("CreateFaceLivenessSession", "GetFaceLivenessSessionResults"), _LIVENESS),
    **dict.fromkeys(("PutProjectPolicy", "ListProjectPolicies", "DeleteProjectPolicy"), _POLICY),
}  # fmt: skip
"""operation -> why it is answered with 501 NotImplementedException"""
