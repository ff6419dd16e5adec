"""Stored video behind the endpoint: jobs that outlive a restart, and what they found."""

from edge.api.rekognition.videos.jobs import VideoJobs
from edge.api.rekognition.videos.store import Finding, Job, JobStore

__all__ = ["Finding", "Job", "JobStore", "VideoJobs"]
