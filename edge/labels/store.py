"""Versions of custom labels in the state folder: ``labels/<name>/<number>/``.

A version is a folder that is whole or not there: the head, a card that says what it is and how good it is, the
evaluation with its picture, and the examples it was made from. The file ``current`` names the version in use.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge import config_file, drawing, files
from edge.errors import InputError, NotFoundError, StoreError
from edge.labels.evaluation import Evaluation, picture
from edge.labels.heads import Head
from edge.labels.manifests import Example

if TYPE_CHECKING:
    from edge.types import ByteArray

FOLDER = "labels"
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
HEAD, CARD, EVALUATION, CONFUSION, EXAMPLES = (
    "head.npz", "card.toml", "evaluation.json", "confusion.png", "examples.jsonl",
)  # fmt: skip
CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Made:
    """What training gave, to be kept."""

    head: Head
    evaluation: Evaluation
    base: str
    """name of the embedder"""
    space: str
    """fingerprint of its space"""
    detectors: tuple[str, ...]
    """whose regions are classified; empty: whole pictures are"""
    learned: Sequence[Example]
    tested: Sequence[Example]
    regions: tuple[str, ...] = ()
    """what the detectors call the regions that show a label"""


@dataclass(frozen=True, slots=True)
class Version:
    """A version as its card tells."""

    name: str
    number: int
    base: str
    space: str
    detectors: tuple[str, ...]
    regions: tuple[str, ...]
    labels: tuple[str, ...]
    learned: int
    tested: int
    f1: float
    created: float
    """seconds since the epoch"""
    sha256: str
    """of the head"""
    folder: Path
    current: bool


class Labels:
    """The custom labels of a state folder."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if NAME.fullmatch(path.name) and _numbers(path))

    def versions(self, name: str) -> list[Version]:
        """Oldest first. Raises NotFoundError, StoreError for a damaged card."""
        folder = self._of(name)
        return [self._version(name, number) for number in _numbers(folder)]

    def version(self, name: str, number: int | None = None) -> Version:
        """That version, or the one in use. Raises NotFoundError."""
        folder = self._of(name)
        chosen = _current(folder) if number is None else number
        if chosen not in _numbers(folder):
            raise NotFoundError(f"labels {name!r} have no version {chosen}", "edge labels list shows those there are")
        return self._version(name, chosen)

    def head(self, version: Version) -> Head:
        """Raises StoreError for a file that is not what its card says."""
        try:
            data = (version.folder / HEAD).read_bytes()
            if files.sha256(version.folder / HEAD) != version.sha256:
                raise _damaged(version.folder / HEAD, "its sha256 is not the card's")
            arrays = np.load(io.BytesIO(data), allow_pickle=False)
            return Head(
                version.labels, arrays["weights"], arrays["bias"], arrays["thresholds"], bool(arrays["exclusive"])
            )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise _damaged(version.folder / HEAD, str(error)) from error

    def files(self, version: Version) -> dict[str, bytes]:
        """What of a version travels: all but its examples. Raises StoreError where it is not whole."""
        self.head(version)
        try:
            return {name: (version.folder / name).read_bytes() for name in (HEAD, CARD, EVALUATION)}
        except OSError as error:
            raise _damaged(version.folder, str(error)) from error

    def save(self, name: str, made: Made) -> Version:
        """Keep it as the next version, not yet in use. Raises InputError for a name that breaks the rule."""
        if not NAME.fullmatch(name):
            raise InputError(f"labels: expected a name of 1 to 100 letters, digits, '_' and '-', got {name[:40]!r}")
        folder = self._folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            try:
                _write(temporary, name, made)
                number = max(_numbers(folder), default=0) + 1
                temporary.rename(folder / str(number))
                files.sync_folder(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            if not (folder / CURRENT).exists():
                files.write_bytes(folder / CURRENT, b"%d\n" % number)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written: {error.strerror}", "check the space on disk") from error
        return self._version(name, number)

    def use(self, version: Version) -> None:
        """Make it the version in use, from the next start of whoever uses it."""
        files.write_bytes(version.folder.parent / CURRENT, b"%d\n" % version.number)

    def delete(self, version: Version) -> None:
        """Remove a version for good, and the name with its last one."""
        shutil.rmtree(version.folder, ignore_errors=True)
        if not _numbers(version.folder.parent):
            shutil.rmtree(version.folder.parent, ignore_errors=True)

    def _of(self, name: str) -> Path:
        if not NAME.fullmatch(name) or not _numbers(self._folder / name):
            raise NotFoundError(f"there are no labels {name!r}", "edge labels train NAME FOLDER makes them")
        return self._folder / name

    def _version(self, name: str, number: int) -> Version:
        folder = self._folder / name / str(number)
        try:
            card = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
            return Version(
                name=name,
                number=number,
                base=card["base"],
                space=card["space"],
                detectors=tuple(card["detectors"]),
                regions=tuple(card.get("regions", ())),
                labels=tuple(card["labels"]),
                learned=card["learned"],
                tested=card["tested"],
                f1=card["f1"],
                created=card["created"],
                sha256=card["sha256"],
                folder=folder,
                current=_current(folder.parent) == number,
            )
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(folder / CARD, str(error)) from error


def _write(folder: Path, name: str, made: Made) -> None:
    head = made.head
    packed = io.BytesIO()
    np.savez(
        packed, weights=head.weights, bias=head.bias, thresholds=head.thresholds, exclusive=np.array(head.exclusive)
    )
    files.write_bytes(folder / HEAD, packed.getvalue())
    card: dict[str, Any] = {
        "name": name,
        "kind": "labels",
        "base": made.base,
        "space": made.space,
        "detectors": list(made.detectors),
        "regions": list(made.regions),
        "labels": list(head.labels),
        "thresholds": [round(float(value), 4) for value in head.thresholds],
        "learned": len(made.learned),
        "tested": len(made.tested),
        "precision": made.evaluation.precision,
        "recall": made.evaluation.recall,
        "f1": made.evaluation.f1,
        "created": round(time.time(), 3),
        "sha256": files.sha256(folder / HEAD),
    }
    files.write_bytes(folder / CARD, config_file.written(card).encode())
    files.write_bytes(folder / EVALUATION, json.dumps(made.evaluation.document, indent=1).encode())
    image: ByteArray = picture(made.evaluation)
    files.write_bytes(folder / CONFUSION, drawing.saved_as(".png", image))
    lines = [_example(one, "train") for one in made.learned] + [_example(one, "test") for one in made.tested]
    files.write_bytes(folder / EXAMPLES, "".join(lines).encode())


def _example(example: Example, part: str) -> str:
    document = {"part": part, "picture": str(example.path), "labels": sorted(example.labels)}
    return json.dumps(document, ensure_ascii=False) + "\n"


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isascii() and path.name.isdigit())


def _current(folder: Path) -> int:
    try:
        return int((folder / CURRENT).read_text())
    except (OSError, ValueError):
        return max(_numbers(folder), default=0)


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path}: cannot be used: {reason[:200]}", "train it again, or use another version")
