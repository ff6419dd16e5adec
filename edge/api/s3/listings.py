"""Listings of a bucket: pages of keys, with common prefixes for keys below a delimiter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge.api.s3 import documents
from edge.api.s3.errors import StorageError

if TYPE_CHECKING:
    from edge.core.storage.buckets import Buckets, StoredObject

MOST_KEYS = 1000


def listing(buckets: Buckets, bucket: str, query: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """ListObjectsV2, ListObjects and ListObjectVersions: a page of at most MOST_KEYS.

    Returns the name of the response and its members. Raises StorageError, NotFoundError.
    """
    newer, encode = query.get("list-type") == "2", query.get("encoding-type") == "url"
    versions = "versions" in query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("key-marker" if versions else "marker", "")
    if newer:
        after = query.get("continuation-token") or query.get("start-after", "")
    most = _most(query.get("max-keys", str(MOST_KEYS)))
    objects: list[StoredObject] = []
    groups: dict[str, None] = {}
    last = ""
    more = False
    if delimiter and after.endswith(delimiter):
        after += "\U0010ffff"  # skip the keys grouped under the prefix
    for one in buckets.listed(bucket, prefix, after):
        group = _group(one.key, prefix, delimiter)
        if group in groups:
            continue
        if len(objects) + len(groups) >= most:
            more = most > 0
            break
        last = group or one.key
        if group:
            groups[group] = None
        else:
            objects.append(one)
    members: dict[str, Any] = {
        "Name": bucket,
        "Prefix": documents.encoded(prefix, encode),
        "MaxKeys": most,
        "IsTruncated": more,
        **({"Delimiter": documents.encoded(delimiter, encode)} if delimiter else {}),
        **({"EncodingType": "url"} if encode else {}),
        "Contents": documents.contents(objects, encode),
        "CommonPrefixes": [{"Prefix": documents.encoded(group, encode)} for group in groups],
    }
    if newer:
        members["KeyCount"] = len(objects) + len(groups)
        members |= {"NextContinuationToken": last} if more else {}
        if "start-after" in query:
            members["StartAfter"] = documents.encoded(query["start-after"], encode)
    elif versions:
        members["Version"] = [{**one, "VersionId": "null", "IsLatest": True} for one in members.pop("Contents")]
        members |= {"NextKeyMarker": documents.encoded(last, encode), "NextVersionIdMarker": "null"} if more else {}
        return "ListVersionsResult", members
    else:
        members |= {"Marker": documents.encoded(after, encode), "NextMarker": documents.encoded(last, encode) * more}
    return "ListBucketResult", members


def _most(text: str) -> int:
    """Keys per page. Raises StorageError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise StorageError("InvalidArgument", "max-keys is not a number.")
    return min(MOST_KEYS, int(text))


def _group(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix of a key; empty where the key is listed itself."""
    if not delimiter:
        return ""
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return f"{prefix}{head}{delimiter}" if found else ""
