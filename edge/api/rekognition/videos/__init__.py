"""Stored video behind the endpoint: jobs that outlive a restart, and what they found."""
