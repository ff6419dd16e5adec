"""ARNs of projects, datasets and versions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge.api.rekognition.errors import ApiError

if TYPE_CHECKING:
    from edge.api.rekognition.call import Call
    from edge.api.rekognition.custom.projects import Dataset, Project, ProjectVersion

_NAME = r"([a-zA-Z0-9_.\-]{1,255})"
_PROJECT = re.compile(rf".*:project/{_NAME}/(\d{{1,18}})")
_DATASET = re.compile(rf".*:project/{_NAME}/dataset/(train|test)/(\d{{1,18}})")
_VERSION = re.compile(rf".*:project/{_NAME}/version/{_NAME}/(\d{{1,18}})")


def of_project(call: Call, project: Project) -> str:
    return call.arn(f"project/{project.name}/{project.number}")


def of_dataset(call: Call, dataset: Dataset) -> str:
    return call.arn(f"project/{dataset.project}/dataset/{dataset.kind}/{dataset.number}")


def of_version(call: Call, version: ProjectVersion) -> str:
    return call.arn(f"project/{version.project}/version/{version.name}/{version.number}")


def project(call: Call, member: str = "ProjectArn") -> Project:
    """The project of a request's ARN. Raises ApiError where it does not exist."""
    name, number = _parts(_PROJECT, call[member])
    return call.service.projects.project(name, int(number))


def dataset(call: Call, arn: str) -> Dataset:
    name, kind, number = _parts(_DATASET, arn)
    return call.service.projects.dataset(name, kind, int(number))


def version(call: Call, member: str = "ProjectVersionArn") -> ProjectVersion:
    project_name, name, number = _parts(_VERSION, call[member])
    return call.service.projects.version(project_name, name, int(number))


def _parts(pattern: re.Pattern[str], arn: str) -> tuple[str, ...]:
    match = pattern.fullmatch(arn)
    if match is None:
        raise ApiError("ResourceNotFoundException", "The resource of this ARN does not exist.")
    return match.groups()
