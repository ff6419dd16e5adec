"""A validated request, with the ARNs and pagination tokens derived from it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.api.rekognition.errors import ApiError

if TYPE_CHECKING:
    from edge.api.rekognition.service import Service

_RESOURCE = re.compile(
    r"arn:[a-z\d-]+:rekognition:[a-z\d-]*:\d{12}:((?:collection|streamprocessor|project)/[a-zA-Z0-9_.\-/]+)"
)
_TAG = 12
"""bytes of a pagination token that bind it to its request"""
_DEFAULTS = {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}
"""defaults of omitted members, so that a request with an explicit default accepts the same token"""


@dataclass(frozen=True)
class Call:
    """A request with validated members."""

    service: Service
    operation: str
    members: Mapping[str, Any]
    region: str
    """region from the caller's signature, or from the settings"""

    def __getitem__(self, name: str) -> Any:
        return self.members[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.members.get(name, default)

    def arn(self, resource: str) -> str:
        """The ARN of a resource, ``collection/<id>``."""
        return f"arn:aws:rekognition:{self.region}:{self.service.settings.api.account}:{resource}"

    def next_token(self, position: str) -> str:
        """An opaque pagination token, valid only for this operation with these parameters."""
        packed = self._binding(position) + position.encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def position(self) -> str:
        """Start position from ``NextToken``; empty: the beginning. Raises ApiError for an invalid token."""
        token = self.get("NextToken", "")
        if not token:
            return ""
        try:
            packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            position = packed[_TAG:].decode()
        except (binascii.Error, ValueError) as error:
            raise ApiError("InvalidPaginationTokenException", "Invalid Pagination Token") from error
        if not hmac.compare_digest(packed[:_TAG], self._binding(position)):
            raise ApiError("InvalidPaginationTokenException", "Invalid Pagination Token")
        return position

    def offset(self) -> int:
        """``position`` as a number; 0: the beginning. Raises ApiError for an invalid token."""
        position = self.position() or "0"
        if not (position.isascii() and position.isdigit() and len(position) < 18):
            raise ApiError("InvalidPaginationTokenException", "Invalid Pagination Token")
        return int(position)

    def _binding(self, position: str) -> bytes:
        asked = {name: value for name, value in self.members.items() if name not in ("NextToken", "MaxResults")}
        question = {name: value for name, value in asked.items() if value != _DEFAULTS.get(name)}
        text = json.dumps([self.operation, question, position], sort_keys=True)
        return hashlib.sha256(text.encode()).digest()[:_TAG]


def resource_of(arn: str) -> str:
    """``collection/<id>``, ``streamprocessor/<name>`` or ``project/...`` of an ARN, with any region and account."""
    match = _RESOURCE.fullmatch(arn)
    if match is None:
        raise ApiError("ResourceNotFoundException", "The resource of this ARN does not exist.")
    return match[1]
