"""Custom labels behind the endpoint: projects, their datasets and versions, and the thread that trains."""

from edge.api.rekognition.custom.projects import Dataset, Project, Projects, ProjectVersion
from edge.api.rekognition.custom.training import Training

__all__ = ["Dataset", "Project", "ProjectVersion", "Projects", "Training"]
