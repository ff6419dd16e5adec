"""Verification of AWS Signature Version 4: signed with a secret that we know, and fresh.

What is signed: method, path, query, the headers that the signature lists, and the body's digest. The request's
own scope names date, region and service; the service must be ours.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from edge.api.rekognition.errors import ApiError

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "rekognition"
MUST_BE_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})
"""a signature that leaves one of these out could be replayed against another operation or host"""

_AUTHORIZATION = re.compile(
    ALGORITHM + r" +Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z\d-]+)/(?P<service>[a-z\d-]+)"
    r"/aws4_request, *SignedHeaders=(?P<headers>[a-z\d;-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signed:
    """What an ``Authorization`` header says."""

    key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True)
class RequestParts:
    """The parts of a request that a signature covers. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def parsed(authorization: str | None) -> Signed | None:
    """The header taken apart; None where it is absent or of another scheme."""
    match = _AUTHORIZATION.fullmatch((authorization or "").strip())
    if match is None:
        return None
    names = tuple(match["headers"].split(";"))
    return Signed(match["key"], match["date"], match["region"], match["service"], names, match["signature"])


def verify(message: RequestParts, secrets: Mapping[str, str], now: float, skew: float) -> Signed:
    """Who signed. Raises ApiError AccessDeniedException with what is wrong, never with what would be right.

    ``secrets``: access key id -> secret. ``now``: seconds since the epoch. ``skew``: seconds its time may be off.
    """
    signed = parsed(message.headers.get("authorization"))
    if signed is None:
        raise _denied("the request is not signed with " + ALGORITHM)
    missing = MUST_BE_SIGNED.difference(signed.headers)
    if signed.service != SERVICE or missing:
        raise _denied("the signature's scope or signed headers are not those of this service")
    stamp = message.headers.get("x-amz-date", "")
    _check_time(stamp, signed.date, now, skew)
    # an unknown key costs the same as a wrong signature, so that timing does not tell which keys exist
    secret = secrets.get(signed.key, "")
    right = signature(message, signed, secret, stamp)
    if not hmac.compare_digest(right, signed.signature) or signed.key not in secrets:
        raise _denied("the signature does not match, or its key is not known here")
    return signed


def signature(message: RequestParts, signed: Signed, secret: str, stamp: str) -> str:
    """The hex signature that ``secret`` gives this message."""
    headers = "".join(f"{name}:{' '.join(message.headers.get(name, '').split())}\n" for name in signed.headers)
    query = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(message.query, True))
    canonical = "\n".join(
        (
            message.method,
            quote(message.path or "/", safe="/-_.~%"),
            "&".join(f"{key}={value}" for key, value in query),
            headers,
            ";".join(signed.headers),
            hashlib.sha256(message.body).hexdigest(),
        )
    )
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    text = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (signed.date, signed.region, signed.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _check_time(stamp: str, date: str, now: float, skew: float) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise _denied("X-Amz-Date is missing or not YYYYMMDDTHHMMSSZ") from error
    if not stamp.startswith(date):
        raise _denied("X-Amz-Date and the signature's scope name different days")
    if abs(now - signed_at) > skew:
        raise _denied(f"the signature's time is {abs(now - signed_at):.0f} s off this device's clock")


def _denied(why: str) -> ApiError:
    return ApiError("AccessDeniedException", f"Access denied: {why}.")
