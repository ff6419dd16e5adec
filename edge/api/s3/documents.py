"""XML documents of the S3 protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from edge.api.s3.errors import StorageError
from edge.core.storage.buckets import StoredObject

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MOST_BYTES = 1 << 20
"""maximum bytes of a request's document"""

Value = str | int | bool | Mapping[str, Any] | Sequence[Any]


def document(name: str, members: Mapping[str, Any], namespace: str = NAMESPACE) -> bytes:
    """XML of nested members; a list becomes repeated elements."""
    root = ElementTree.Element(name, {"xmlns": namespace} if namespace else {})
    _fill(root, members)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def texts(data: bytes, name: str) -> list[str]:
    """Texts of the elements with one name, in order. Raises StorageError."""
    if len(data) > MOST_BYTES or b"<!" in data:  # no entities, no document types
        raise StorageError("MalformedXML", "The XML you provided is too long, or has a document type.")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  neither entities nor document types get here
    except (ElementTree.ParseError, ValueError) as error:
        raise StorageError("MalformedXML", "The XML you provided was not well-formed.") from error
    return [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == name]


def contents(found: Iterable[StoredObject], encode: bool) -> list[dict[str, Any]]:
    """Contents of a listing."""
    return [
        {
            "Key": encoded(one.key, encode),
            "LastModified": moment(one.modified),
            "ETag": one.etag,
            "Size": one.size,
            "StorageClass": "STANDARD",
        }
        for one in found
    ]


def encoded(key: str, encode: bool) -> str:
    """A key, URL-encoded for ``encoding-type=url``."""
    return quote(key, safe="/") if encode else key


def moment(seconds: float) -> str:
    """ISO 8601 time from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _fill(parent: ElementTree.Element, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        for one in value if isinstance(value, list) else [value]:
            child = ElementTree.SubElement(parent, name)
            if isinstance(one, Mapping):
                _fill(child, one)
            else:
                child.text = str(one).lower() if isinstance(one, bool) else str(one)
