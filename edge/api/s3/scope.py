"""Which requests are for the buckets: those signed for the service ``s3``, whatever their path."""

from __future__ import annotations

from collections.abc import Mapping

from edge.api.http import presigned, sigv4

SERVICE = "s3"


def is_for_buckets(headers: Mapping[str, str], query: str) -> bool:
    """Whether a request is signed for S3, in a header or in the query."""
    scope = sigv4.parsed(headers.get("authorization"))
    return presigned.is_presigned(query) if scope is None else scope.service == SERVICE
