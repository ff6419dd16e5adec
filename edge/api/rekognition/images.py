"""An ``Image`` of a request, bytes or S3Object, as a picture. Buckets are folders that cannot be walked out of."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.api.rekognition.errors import ApiError
from edge.core.errors import InputError
from edge.core.types import Picture


def path_of(buckets: Mapping[str, Path], bucket: str, key: str) -> Path:
    """The file of a key. Raises InputError for a bucket that stands for no folder, or a key that leads out of it."""
    if bucket not in buckets:
        raise InputError(f"bucket {bucket!r} stands for no folder", "name it in [api.buckets]", code="bucket")
    root = os.path.realpath(buckets[bucket])
    path = Path(root if "\0" in key else os.path.realpath(Path(root) / key))
    if "\0" in key or not path.is_relative_to(root):
        raise InputError(f"key {key[:200]!r} leads out of its bucket", "choose another prefix", code="bucket")
    return path


MAX_S3 = 15 << 20
"""bytes of an image in a bucket"""
MIN_SIDE, MAX_SIDE = 80, 10_000
"""pixels"""
FORMATS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""how JPEG and PNG begin; Rekognition takes nothing else"""


def data_of(image: Mapping[str, Any], buckets: Mapping[str, Path]) -> bytes:
    """The bytes of the image file. Raises ApiError."""
    if "Bytes" in image:
        data: bytes = image["Bytes"]
        return data
    return s3_object(image["S3Object"], buckets)


def picture(data: bytes) -> Picture:
    """The upright picture. Raises ApiError where it is not JPEG or PNG, or of a size that Rekognition refuses."""
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


def s3_object(place: Mapping[str, Any], buckets: Mapping[str, Path]) -> bytes:
    """The bytes of an object of a bucket. Raises ApiError."""
    if "Bucket" not in place or "Name" not in place:
        raise ApiError("InvalidParameterException", "Request has invalid parameters. S3Object: needs Bucket and Name.")
    root = buckets.get(place["Bucket"])
    if root is None:
        raise _unreadable()
    try:
        data = _read(open_below(root, place["Name"]))
    except (OSError, ValueError) as error:
        raise _unreadable() from error
    if len(data) > MAX_S3:
        raise ApiError("ImageTooLargeException", "Image size is too large.")
    if not data:
        raise ApiError("InvalidImageFormatException", "Request has invalid image format.")
    return data


def open_below(root: Path, name: str) -> int:
    """A descriptor of the file ``name`` below ``root``, step by step and following no symbolic link.

    Raises OSError or ValueError for anything else, ``..`` and absolute names included.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise ValueError(f"not a name below a folder: {name!r}")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = below
        # O_NONBLOCK: opening a named pipe must not wait for its writer
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)


def _read(descriptor: int) -> bytes:
    """At most MAX_S3 + 1 bytes of a regular file, which is closed. Raises OSError or ValueError."""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_S3 + 1)
    finally:
        os.close(descriptor)


def _unreadable() -> ApiError:
    return ApiError(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )
