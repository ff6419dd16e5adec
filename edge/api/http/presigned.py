"""Presigned URLs: requests with the signature in the query, as SDKs create them for GetObject and PutObject.

Both versions are supported: Signature Version 4 (``X-Amz-Signature``) and version 2 (``AWSAccessKeyId``), the default
of boto3 for older regions. The body is not signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

from edge.api.http.sigv4 import (
    ALGORITHM,
    UNSIGNED_PAYLOAD,
    RequestHead,
    Scope,
    SignatureError,
    Verified,
    signature,
    signed_time,
)

LONGEST = 7 * 86400
"""longest validity of a URL in seconds"""
SUB_RESOURCES = frozenset({
    "acl", "cors", "delete", "lifecycle", "location", "partNumber", "policy", "tagging", "uploadId", "uploads",
    "versionId", "versioning", "versions", "response-cache-control", "response-content-disposition",
    "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
})  # fmt: skip
"""query parameters that version 2 signs"""

_CREDENTIAL = re.compile(r"(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[a-z\d-]+)/(?P<service>[a-z\d-]+)/aws4_request")
_HEADERS = re.compile(r"[a-z\d;-]+")
_NUMBER = re.compile(r"\d{1,12}")


def is_presigned(query: str) -> bool:
    """Whether an S3 request carries its signature in the query."""
    names = dict(parse_qsl(query))
    if "X-Amz-Signature" in names:
        scope = _CREDENTIAL.fullmatch(names.get("X-Amz-Credential", ""))
        return scope is not None and scope["service"] == "s3"
    return {"AWSAccessKeyId", "Signature", "Expires"} <= names.keys()


def verified(head: RequestHead, secrets: Mapping[str, str], now: float, skew: float) -> Verified:
    """Verify a presigned request. ``now``: seconds since the epoch; ``skew``: tolerated clock difference in seconds.

    ``secrets``: access key id -> secret. Raises SignatureError.
    """
    query = dict(parse_qsl(head.query, keep_blank_values=True))
    if "X-Amz-Signature" in query:
        return _version_4(head, query, secrets, now, skew)
    return _version_2(head, query, secrets, now)


def _version_4(
    head: RequestHead, query: Mapping[str, str], secrets: Mapping[str, str], now: float, skew: float
) -> Verified:
    found = _CREDENTIAL.fullmatch(query.get("X-Amz-Credential", ""))
    names, stamp, seconds = (query.get(f"X-Amz-{name}", "") for name in ("SignedHeaders", "Date", "Expires"))
    if query.get("X-Amz-Algorithm") != ALGORITHM or found is None or not _HEADERS.fullmatch(names):
        raise SignatureError("incomplete", "The query of a presigned URL is not complete.")
    headers = tuple(names.split(";"))
    if "host" not in headers or len(set(headers)) != len(headers):
        raise SignatureError("mismatch", "A presigned URL must sign the header host, and each header only once.")
    scope = Scope(found["key"], found["date"], found["region"], found["service"], headers, query["X-Amz-Signature"])
    signed_at = signed_time(stamp, scope.date)
    if not _NUMBER.fullmatch(seconds) or not 1 <= int(seconds) <= LONGEST:
        raise SignatureError("incomplete", f"X-Amz-Expires: expected 1 to {LONGEST} seconds.")
    if not signed_at - skew <= now <= signed_at + int(seconds):
        raise SignatureError("expired", "Request has expired")
    rest = "&".join(part for part in head.query.split("&") if part.partition("=")[0] != "X-Amz-Signature")
    right = signature(replace(head, query=rest), scope, _secret(secrets, scope.key), stamp, UNSIGNED_PAYLOAD)
    if not hmac.compare_digest(right, scope.signature):
        raise _mismatch()
    signed = {name: head.headers[name] for name in headers if name in head.headers}
    return Verified(scope.key, scope.region, scope.service, signed, scope.signature, signed_at)


def _version_2(head: RequestHead, query: Mapping[str, str], secrets: Mapping[str, str], now: float) -> Verified:
    key, given, expires = (query.get(name, "") for name in ("AWSAccessKeyId", "Signature", "Expires"))
    if not _NUMBER.fullmatch(expires):
        raise SignatureError("incomplete", "Expires: expected seconds since the epoch.")
    if not now <= int(expires) <= now + LONGEST:
        raise SignatureError("expired", "Request has expired")
    told = {**{name.lower(): value for name, value in query.items()}, **head.headers}
    own = "".join(f"{name}:{told[name]}\n" for name in sorted(told) if name.startswith("x-amz-"))
    parts = sorted((name, query[name]) for name in SUB_RESOURCES & query.keys())
    resource = head.path + ("?" if parts else "") + "&".join(f"{name}={text}" if text else name for name, text in parts)
    lines = (head.method, told.get("content-md5", ""), told.get("content-type", ""), expires, own + resource)
    digest = hmac.digest(_secret(secrets, key).encode(), "\n".join(lines).encode(), hashlib.sha1)
    if not hmac.compare_digest(base64.b64encode(digest).decode(), given):
        raise _mismatch()
    return Verified(key, "", "s3", {}, given, now)


def _secret(secrets: Mapping[str, str], key: str) -> str:
    secret = secrets.get(key)
    if not secret:
        raise SignatureError("unknown_key", "The AWS Access Key Id you provided does not exist in our records.")
    return secret


def _mismatch() -> SignatureError:
    return SignatureError(
        "mismatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    )
