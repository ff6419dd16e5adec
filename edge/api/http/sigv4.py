"""Verification of AWS Signature Version 4: a known access key, a matching signature, a recent time.

A signature covers the method, path, query, listed headers and the digest of the body. ``opened`` checks what the
headers alone show, before a body is read; ``Signature.check`` takes the body's digest and returns the verified parts.
Nothing else of a request may influence what is done.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal
from urllib.parse import parse_qsl, quote

ALGORITHM = "AWS4-HMAC-SHA256"
MUST_BE_SIGNED = {
    "rekognition": frozenset({"host", "x-amz-date", "x-amz-target"}),
    "s3": frozenset({"host", "x-amz-date", "x-amz-content-sha256"}),
}
"""service -> headers that must be signed, so that a signature cannot be reused for another operation, host or body"""
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

Reason = Literal["missing", "incomplete", "unknown_key", "mismatch", "expired", "repeated"]

_AUTHORIZATION = re.compile(
    ALGORITHM + r" +Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z\d-]+)/(?P<service>[a-z\d-]+)"
    r"/aws4_request, *SignedHeaders=(?P<headers>[a-z\d;-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SINGLE = frozenset({"authorization", "host", "content-length", "content-type", "transfer-encoding"})


class SignatureError(Exception):
    """A request without a valid signature; ``reason`` is the kind of error."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


@dataclass(frozen=True)
class Scope:
    """The parsed ``Authorization`` header."""

    key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True)
class RequestHead:
    """A request without its body. Header names are lower case and unique."""

    method: str
    path: str
    """as sent, percent-encoded"""
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Verified:
    """The parts of a request that a signature covers."""

    key: str
    region: str
    service: str
    headers: Mapping[str, str]
    signature: str
    signed_at: float
    """seconds since the epoch"""


@dataclass(frozen=True)
class Signature:
    """A signature with valid key, scope and time; ``check`` verifies it once the body's digest is known."""

    head: RequestHead
    scope: Scope
    secret: str
    stamp: str
    signed_at: float

    @property
    def payload(self) -> str:
        """The signed ``X-Amz-Content-Sha256``; empty where the digest must be computed from the body."""
        return self.head.headers.get("x-amz-content-sha256", "") if self._covers("x-amz-content-sha256") else ""

    def check(self, digest: str) -> Verified:
        """Verify the signature. ``digest``: hex SHA-256 of the body, or its placeholder. Raises SignatureError."""
        if self.payload and digest != self.payload:
            raise SignatureError("mismatch", "The body does not match the signed digest.")
        right = signature(self.head, self.scope, self.secret, self.stamp, digest)
        if not hmac.compare_digest(right, self.scope.signature):
            raise SignatureError(
                "mismatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method.",
            )
        headers = {name: self.head.headers[name] for name in self.scope.headers if name in self.head.headers}
        scope = self.scope
        return Verified(scope.key, scope.region, scope.service, headers, scope.signature, self.signed_at)

    def _covers(self, name: str) -> bool:
        return name in self.scope.headers


def single(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name. Raises SignatureError where a security-relevant header is repeated."""
    names = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    for name, count in Counter(name for name, _ in names).items():
        if count > 1 and (name in _SINGLE or name.startswith("x-amz-")):
            raise SignatureError("repeated", f"The request repeats the header {name}.")
    return dict(names)


def parsed(authorization: str | None) -> Scope | None:
    """Parse the ``Authorization`` header; None where it is absent or of another scheme."""
    match = _AUTHORIZATION.fullmatch((authorization or "").strip())
    if match is None:
        return None
    names = tuple(match["headers"].split(";"))
    return Scope(match["key"], match["date"], match["region"], match["service"], names, match["signature"])


def opened(
    head: RequestHead, secrets: Mapping[str, str], now: float, skew: float, services: Collection[str]
) -> Signature:
    """Check what the headers show before the body is read. Raises SignatureError, which never reveals a secret.

    ``secrets``: access key id -> secret. ``now``: seconds since the epoch. ``skew``: tolerated clock difference (s).
    """
    scope = parsed(head.headers.get("authorization"))
    if scope is None:
        if head.headers.get("authorization"):
            raise SignatureError("incomplete", f"Authorization header requires {ALGORITHM} with its three parts.")
        raise SignatureError("missing", "Request is missing Authentication Token")
    missing = MUST_BE_SIGNED.get(scope.service, frozenset()).difference(scope.headers)
    if scope.service not in services or missing:
        raise SignatureError("mismatch", "Credential should be scoped to this service, with its headers signed.")
    if len(set(scope.headers)) != len(scope.headers):
        raise SignatureError("repeated", "SignedHeaders names a header twice.")
    stamp = head.headers.get("x-amz-date", "")
    signed_at = _time(stamp, scope.date, now, skew)
    secret = secrets.get(scope.key)
    if not secret:
        raise SignatureError("unknown_key", "The security token included in the request is invalid.")
    return Signature(head, scope, secret, stamp, signed_at)


def signature(head: RequestHead, scope: Scope, secret: str, stamp: str, digest: str) -> str:
    """The hex signature of a request with ``secret``; ``digest``: hex SHA-256 of the body."""
    headers = "".join(f"{name}:{' '.join(head.headers.get(name, '').split())}\n" for name in scope.headers)
    query = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(head.query, True))
    canonical = "\n".join(
        (
            head.method,
            quote(head.path or "/", safe="/-_.~%"),
            "&".join(f"{key}={value}" for key, value in query),
            headers,
            ";".join(scope.headers),
            digest,
        )
    )
    place = f"{scope.date}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join((ALGORITHM, stamp, place, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def is_digest(text: str) -> bool:
    """Whether a text is a hex SHA-256 digest."""
    return _DIGEST.fullmatch(text) is not None


def signed_time(stamp: str, date: str) -> float:
    """Seconds since the epoch of ``YYYYMMDDTHHMMSSZ``; ``date`` is the scope's date. Raises SignatureError."""
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError as error:
        raise SignatureError("incomplete", "X-Amz-Date is missing or not YYYYMMDDTHHMMSSZ.") from error
    if not stamp.startswith(date):
        raise SignatureError("mismatch", "Date in Credential scope does not match YYYYMMDD from X-Amz-Date.")
    return signed_at


def _time(stamp: str, date: str, now: float, skew: float) -> float:
    signed_at = signed_time(stamp, date)
    if abs(now - signed_at) > skew:
        off = f"{abs(now - signed_at):.0f} s off this device's clock"
        raise SignatureError("expired", f"Signature expired: {stamp} is {off}, {skew:.0f} s are allowed.")
    return signed_at
