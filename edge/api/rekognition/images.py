"""Decoding of a request's ``Image``: bytes or S3Object."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from edge.api.rekognition.errors import ApiError
from edge.core.errors import NotFoundError
from edge.core.storage.buckets import Buckets
from edge.core.types import Picture

log = logging.getLogger(__name__)

MAX_S3 = 15 << 20
"""bytes of an image in a bucket"""
MIN_SIDE, MAX_SIDE = 80, 10_000
"""pixels"""
FORMATS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""signatures of JPEG and PNG; Rekognition accepts no other format"""


def data_of(image: Mapping[str, Any], buckets: Buckets) -> bytes:
    """The bytes of the image file. Raises ApiError."""
    if "Bytes" in image:
        data: bytes = image["Bytes"]
        return data
    return s3_object(image["S3Object"], buckets)


def picture(data: bytes) -> Picture:
    """The upright picture. Raises ApiError where it is not JPEG or PNG, or its size exceeds Rekognition's limits."""
    from edge.core.imaging import image as pictures

    if not data.startswith(FORMATS):
        raise ApiError("InvalidImageFormatException", "Request has invalid image format.")
    found = pictures.decode(data, "image")
    if max(found.width, found.height) > MAX_SIDE:
        raise ApiError("ImageTooLargeException", "Image size is too large.")
    if min(found.width, found.height) < MIN_SIDE:
        raise ApiError(
            "InvalidParameterException",
            f"Request has invalid parameters. Image: expected at least {MIN_SIDE} x {MIN_SIDE} pixels, "
            f"got {found.width} x {found.height}.",
        )
    return found


def s3_object(place: Mapping[str, Any], buckets: Buckets) -> bytes:
    """The bytes of an S3 object. Raises ApiError."""
    if "Bucket" not in place or "Name" not in place:
        raise ApiError("InvalidParameterException", "Request has invalid parameters. S3Object: needs Bucket and Name.")
    try:
        with buckets.open(place["Bucket"], place["Name"]) as file:
            data = file.read(MAX_S3 + 1)
    except (NotFoundError, OSError) as error:
        log.info("%s", error)
        raise unreadable() from error
    if len(data) > MAX_S3:
        raise ApiError("ImageTooLargeException", "Image size is too large.")
    if not data:
        raise ApiError("InvalidImageFormatException", "Request has invalid image format.")
    return data


def unreadable() -> ApiError:
    """The error for a bucket or key that does not exist or is outside the folder."""
    return ApiError(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )
