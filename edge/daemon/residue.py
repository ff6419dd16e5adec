"""Residue scan: the name of an erased subject (text, JSON or encrypted) and embeddings in files of a state folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.core.storage import vault
from edge.recognition.store.collections import Collections

CHUNK = 1 << 20
SHORTEST = 4
"""bytes of a name that is looked for in files: shorter ones are found in anything"""


def of(collections: Collections, subject: str) -> list[bytes]:
    """The embeddings of a subject, as they are and as they are stored."""
    with collections.store.reading() as db:
        where = (db.vault.name(subject),)
        found = [blob for (blob,) in db.execute("SELECT vector FROM faces WHERE subject = ?", where)]
    for name in collections.names() if collections.store.vault.key else ():
        collection = collections.get(name)
        ids = [face.face_id for face in collection.faces(limit=-1, subject=subject)]
        found += [vector.astype("<f4").tobytes() for vector in collection.vectors(ids)]
    return found


def left(state: Path, subject: str, vectors: Iterable[bytes]) -> Iterator[Path]:
    """Files of a state folder that hold the name or one of the embeddings."""
    name, stored = subject.encode("utf-8"), vault.of(state).name(subject)
    wanted = set(vectors)
    if len(name) >= SHORTEST:
        wanted |= {name, json.dumps(subject)[1:-1].encode()}
    wanted |= {stored} if isinstance(stored, bytes) else set()
    for path in sorted(state.rglob("*")):
        if path.is_file() and not path.is_symlink() and _holds(path, wanted):
            yield path


def without_lines(path: Path, subject: str) -> int:
    """Rewrite a file of JSON lines without those that name the subject; how many went. Raises OSError."""
    names = {json.dumps(subject).encode(), json.dumps(subject, ensure_ascii=False).encode()}
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if not any(name in line for name in names)]
    if len(kept) < len(lines):
        # in place: whoever appends to the file goes on in the same one
        with path.open("r+b") as file:
            file.write(b"".join(kept))
            file.truncate()
            file.flush()
    return len(lines) - len(kept)


def _holds(path: Path, wanted: set[bytes]) -> bool:
    longest = max(map(len, wanted), default=0)
    if not longest:
        return False
    tail = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                block = tail + chunk
                if any(one in block for one in wanted):
                    return True
                tail = block[-longest:]
    except OSError:
        return False
    return False
