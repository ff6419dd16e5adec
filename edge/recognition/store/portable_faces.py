"""One face as a line of JSON, without its embedding; read back with every value checked."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from edge.core import subjects
from edge.core.errors import InputError
from edge.core.types import Box, Face

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
EXTERNAL = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")


def to_line(face: Face) -> bytes:
    """One line of ``faces.jsonl``."""
    values = asdict(face)
    del values["collection"]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes, collection: str) -> Face:
    """The face of a line. Raises InputError naming the value that breaks its rule."""
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a face is not a line of JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"expected a JSON object a line, got {type(values).__name__}")
    box = values.get("box")
    face = Face(
        face_id=values.get("face_id", ""),
        collection=collection,
        subject=values.get("subject"),
        image_id=values.get("image_id", ""),
        external_image_id=values.get("external_image_id"),
        box=None if box is None else _box(box),
        confidence=values.get("confidence", 0.0),
        quality=values.get("quality", 0.0),
        created=values.get("created", 0.0),
        origin=values.get("origin", "device"),
    )
    broken = next((name for name, kept in _rules(face) if not kept), None)
    if broken:
        raise InputError(f"{broken} of a face breaks its rule: {getattr(face, broken)!r:.60}")
    if face.subject is not None:
        subjects.checked(face.subject)
    return face


def _rules(face: Face) -> list[tuple[str, bool]]:
    external = face.external_image_id
    return [
        ("face_id", _matches(UUID, face.face_id)),
        ("image_id", face.image_id == "" or _matches(UUID, face.image_id)),
        ("external_image_id", external is None or _matches(EXTERNAL, external)),
        ("subject", face.subject is None or isinstance(face.subject, str)),
        ("confidence", _number(face.confidence, 0, 1)),
        ("quality", _number(face.quality, 0, 1)),
        ("created", _number(face.created, 0, 1e12)),
        ("origin", face.origin in ("device", "hub")),
    ]


def _box(values: Any) -> Box:
    """Fractions; a face may reach beyond the border, but not far."""
    names = ("left", "top", "right", "bottom")
    if not isinstance(values, dict) or not all(_number(values.get(name), -10, 10) for name in names):
        raise InputError(f"box of a face breaks its rule: {values!r:.60}")
    return Box(*(float(values[name]) for name in names))


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(value: object, low: float, high: float) -> bool:
    # NaN compares false; True is no number
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
