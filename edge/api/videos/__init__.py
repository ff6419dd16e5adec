"""Stored video behind the endpoint: jobs that outlive a restart, and what they found."""

from edge.api.videos.jobs import VideoJobs
from edge.api.videos.store import Finding, Job, JobStore

__all__ = ["Finding", "Job", "JobStore", "VideoJobs"]
