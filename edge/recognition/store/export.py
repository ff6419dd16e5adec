"""A collection as one file (a zip, stored) or a folder: ``manifest.json``, ``faces.jsonl``, ``vectors.f32``.

The manifest names the embedding space and the sha256 of the two others; line n of the faces belongs to row n of
the vectors (float32, little endian). Everything is verified before it is stored, nothing is unpacked to disk,
and existing faces are unchanged: an import merges and can be repeated.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from edge.core import subjects
from edge.core.errors import InputError, StoreError
from edge.core.storage import files
from edge.core.types import Box, Face
from edge.recognition.store.collection import Collection
from edge.recognition.store.vectors import checked

if TYPE_CHECKING:
    from edge.core.types import FloatArray


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
EXTERNAL = re.compile(r"[a-zA-Z0-9_.\-:]{1,255}")


def to_line(face: Face) -> bytes:
    """One line of ``faces.jsonl``."""
    values = asdict(face)
    del values["collection"]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes, collection: str) -> Face:
    """Parse a line. Raises InputError naming the invalid value."""
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a face is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"expected one JSON object per line, got {type(values).__name__}")
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
    return face if face.subject is None else replace(face, subject=subjects.checked(face.subject))


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
    """A box in fractions; it may extend slightly beyond the border."""
    names = ("left", "top", "right", "bottom")
    if not isinstance(values, dict) or not all(_number(values.get(name), -10, 10) for name in names):
        raise InputError(f"box of a face breaks its rule: {values!r:.60}")
    return Box(*(float(values[name]) for name in names))


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(value: object, low: float, high: float) -> bool:
    # NaN compares false; True is not a number
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


FORMAT, VERSION = "edge-collection", 1
MANIFEST, FACES, VECTORS = "manifest.json", "faces.jsonl", "vectors.f32"
PIECE = 1000
MOST_FACES, MOST_DIMENSIONS = 10_000_000, 8192
MOST_MANIFEST, MOST_LINE = 1 << 16, 1 << 13
"""bytes"""

Opener = Callable[[str], IO[bytes]]


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """Manifest of an exported collection."""

    collection: str
    space: str
    dimensions: int
    count: int
    sha256: dict[str, str]
    """file name -> digest of FACES and VECTORS"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Result of an import."""

    read: int
    added: int


def export(collection: Collection, path: Path) -> ExportManifest:
    """Export a collection to ``path``: a folder if it exists as one, else one file. Raises StoreError, InputError."""
    found = collection.everything()
    faces = collection.known(found.face_ids)
    # a face that was deleted between the two queries is omitted
    kept = [i for i, face_id in enumerate(found.face_ids) if face_id in faces]
    lines = b"".join(to_line(faces[found.face_ids[i]]) for i in kept)
    vectors = found.vectors[kept].astype("<f4").tobytes()
    digests = {FACES: hashlib.sha256(lines).hexdigest(), VECTORS: hashlib.sha256(vectors).hexdigest()}
    manifest = ExportManifest(collection.name, collection.space or "", found.vectors.shape[1], len(kept), digests)
    document = {"format": FORMAT, "version": VERSION, **{n: getattr(manifest, n) for n in ExportManifest.__slots__}}
    parts = {MANIFEST: json.dumps(document, indent=1).encode(), FACES: lines, VECTORS: vectors}
    try:
        if path.is_dir():
            for name in (FACES, VECTORS, MANIFEST):
                files.write_bytes(path / name, parts[name])
        else:
            with files.replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
                for name, data in parts.items():
                    archive.writestr(name, data)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}", "choose another path") from error
    return manifest


def read_manifest(path: Path) -> ExportManifest:
    """The manifest of an export at ``path``. Raises InputError."""
    with _opened(path) as opener:
        return _manifest(path, opener)


def import_into(collection: Collection, path: Path, step: Callable[[int], None] = lambda _: None) -> ImportReport:
    """Verify all of ``path``, then store new faces. ``step`` is called with the size of each batch.

    Raises InputError if the file does not match its manifest, SpaceError, StoreError.
    """
    with _opened(path) as opener:
        manifest = _manifest(path, opener)
        _verify(path, opener, manifest)
        read = added = 0
        for batch in _batches(path, opener, manifest):
            known = collection.known(face.face_id for face, _ in batch)
            added += len({face.face_id for face, _ in batch} - known.keys())
            collection.merge(batch, manifest.space, manifest.dimensions)
            read += len(batch)
            step(len(batch))
    return ImportReport(read, added)


def _verify(path: Path, opener: Opener, manifest: ExportManifest) -> None:
    sizes = {FACES: manifest.count * MOST_LINE, VECTORS: manifest.count * manifest.dimensions * 4}
    for name, most in sizes.items():
        digest, size = hashlib.sha256(), 0
        with opener(name) as file:
            while chunk := file.read(files.CHUNK):
                size += len(chunk)
                if size > most:
                    raise _bad(path, f"{name} is longer than {manifest.count} faces can be")
                digest.update(chunk)
        if digest.hexdigest() != manifest.sha256[name]:
            raise _bad(path, f"expected sha256 {manifest.sha256[name]} of {name}, got {digest.hexdigest()}")
    found = sum(len(batch) for batch in _batches(path, opener, manifest))
    if found != manifest.count:
        raise _bad(path, f"expected {manifest.count} faces, got {found}")


def _batches(path: Path, opener: Opener, manifest: ExportManifest) -> Iterator[list[tuple[Face, FloatArray]]]:
    width = manifest.dimensions * 4
    with opener(FACES) as lines, opener(VECTORS) as vectors:
        number = 0
        while batch := list(islice(iter(lambda: lines.readline(MOST_LINE), b""), PIECE)):
            data = vectors.read(len(batch) * width)
            if len(data) != len(batch) * width:
                raise _bad(path, f"{VECTORS} ends before {FACES}")
            try:
                unit = checked(np.frombuffer(data, "<f4").reshape(len(batch), -1), manifest.dimensions)
                faces = [from_line(line, manifest.collection) for line in batch]
            except InputError as error:
                raise _bad(path, f"in faces {number + 1} to {number + len(batch)}: {error.message}") from error
            number += len(batch)
            yield list(zip(faces, unit, strict=True))
        if vectors.read(1):
            raise _bad(path, f"{FACES} ends before {VECTORS}")


def _manifest(path: Path, opener: Opener) -> ExportManifest:
    with opener(MANIFEST) as file:
        data = file.read(MOST_MANIFEST + 1)
    try:
        values: Any = json.loads(data) if len(data) <= MOST_MANIFEST else None
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"{MANIFEST} is not JSON: {error}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise _bad(path, f"{MANIFEST} is not the manifest of an exported collection")
    if values.get("version") != VERSION:
        raise _bad(path, f"expected version {VERSION} of the format, got {values.get('version')!r:.40}")
    found = ExportManifest(*(values.get(name) for name in ExportManifest.__slots__))  # type: ignore[arg-type]
    digests = found.sha256 if isinstance(found.sha256, dict) else {}
    rules = {
        "collection": isinstance(found.collection, str) and 1 <= len(found.collection) <= 255,
        "space": isinstance(found.space, str) and len(found.space) <= 255 and (bool(found.space) or not found.count),
        "dimensions": type(found.dimensions) is int and 1 <= found.dimensions <= MOST_DIMENSIONS,
        "count": type(found.count) is int and 0 <= found.count <= MOST_FACES,
        "sha256": all(isinstance(digests.get(name), str) for name in (FACES, VECTORS)),
    }
    broken = [name for name, kept in rules.items() if not kept]
    if broken:
        raise _bad(path, f"{MANIFEST}: {broken[0]} is missing or out of range")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Opener]:
    """Opener of parts by name. Raises InputError if ``path`` is neither an exported folder nor an exported file."""
    with ExitStack() as stack:
        try:
            if path.is_dir():
                yield lambda name: (path / name).open("rb")
            else:
                archive = stack.enter_context(zipfile.ZipFile(path))
                # only uncompressed parts, as protection against zip bombs
                if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                    raise _bad(path, "its parts are compressed")
                yield lambda name: archive.open(name)
        except FileNotFoundError as error:
            raise InputError(f"{error.filename}: there is no such file", "check the path", code="unreadable") from error
        except (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
            raise _bad(path, str(error)) from error


def _bad(path: Path, what: str) -> InputError:
    hint = "export the collection again, with edge collection export"
    return InputError(f"{path}: is not a complete exported collection: {what}", hint, code="import")
