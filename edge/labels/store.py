"""Versions of custom labels in the state folder: ``labels/<name>/<number>/``, written atomically.

The file ``current`` names the version in use.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from edge.core.errors import EdgeError, InputError, NotFoundError, StoreError
from edge.core.storage import files, layout
from edge.labels.examples import Annotation, Example
from edge.labels.head import Head
from edge.labels.training_rows import StoredRows, unpacked
from edge.labels.version import CARD, EVALUATION, EXAMPLES, HEAD, ROWS, Made, Version, damaged, read, write

FOLDER = layout.LABELS.name
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
CURRENT = "current"


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
        """A version by number, or the one in use. Raises NotFoundError."""
        folder = self._of(name)
        chosen = _current(folder) if number is None else number
        if chosen not in _numbers(folder):
            raise NotFoundError(f"labels {name!r} have no version {chosen}", "edge labels list shows the existing ones")
        return self._version(name, chosen)

    def head(self, version: Version) -> Head:
        """The head of a version. Raises StoreError for a file that does not match its card."""
        try:
            data = (version.folder / HEAD).read_bytes()
            if files.sha256(version.folder / HEAD) != version.sha256:
                raise damaged(version.folder / HEAD, "its sha256 is not the card's")
            arrays = np.load(io.BytesIO(data), allow_pickle=False)
            return Head(
                version.labels, arrays["weights"], arrays["bias"], arrays["thresholds"], bool(arrays["exclusive"])
            )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise damaged(version.folder / HEAD, str(error)) from error

    def taught(self, version: Version) -> StoredRows | None:
        """Training rows of a version; None if too large, or if it came from another device. Raises StoreError."""
        try:
            return unpacked((version.folder / ROWS).read_bytes(), str(version.folder / ROWS))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise damaged(version.folder / ROWS, str(error)) from error

    def examples(self, version: Version) -> tuple[list[Example], list[Example]]:
        """The training and test pictures of a version, without boxes. Raises StoreError."""
        found: dict[str, list[Example]] = {"train": [], "test": []}
        try:
            for line in (version.folder / EXAMPLES).read_text(encoding="utf-8").splitlines():
                one = json.loads(line)
                example = Example(Path(one["picture"]), tuple(Annotation(label) for label in one["labels"]))
                found[one["part"]].append(example)
        except FileNotFoundError:
            return [], []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(version.folder / EXAMPLES, str(error)) from error
        return found["train"], found["test"]

    def files(self, version: Version) -> dict[str, bytes]:
        """The files of a version for a release: all but its examples. Raises StoreError if it is incomplete."""
        self.head(version)
        try:
            return {name: (version.folder / name).read_bytes() for name in (HEAD, CARD, EVALUATION)}
        except OSError as error:
            raise damaged(version.folder, str(error)) from error

    def save(self, name: str, made: Made) -> Version:
        """Store it as the next version, not yet in use. Raises InputError for an invalid name, StoreError."""
        if not NAME.fullmatch(name):
            raise InputError(f"labels: expected a name of 1 to 100 letters, digits, '_' and '-', got {name[:40]!r}")
        folder = self._folder / name
        try:
            files.make_folder(folder)
            temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            try:
                write(temporary, name, made)
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

    def copy(self, version: Version, name: str) -> Version:
        """Copy a version to another name, or as the next version of its name. Raises StoreError."""
        folder = self._folder / name
        try:
            files.make_folder(folder)
            temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            try:
                shutil.copytree(version.folder, temporary, dirs_exist_ok=True)
                number = max(_numbers(folder), default=0) + 1
                temporary.rename(folder / str(number))
                files.sync_folder(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written: {error.strerror}", "check the space on disk") from error
        return self._version(name, number)

    def use(self, version: Version) -> None:
        """Make it the version in use; consumers load it on their next start."""
        files.write_bytes(version.folder.parent / CURRENT, b"%d\n" % version.number)

    def delete(self, version: Version) -> None:
        """Delete a version permanently, and the name with its last version."""
        shutil.rmtree(version.folder, ignore_errors=True)
        if not _numbers(version.folder.parent):
            shutil.rmtree(version.folder.parent, ignore_errors=True)

    def _of(self, name: str) -> Path:
        if not NAME.fullmatch(name) or not _numbers(self._folder / name):
            raise NotFoundError(f"there are no labels {name!r}", "edge labels train NAME FOLDER creates them")
        return self._folder / name

    def _version(self, name: str, number: int) -> Version:
        folder = self._folder / name / str(number)
        return read(folder, name, number, _current(folder.parent) == number)


def labels_of(state: Path, version: str) -> list[str]:
    """The labels of a version (``helmets/3``), sorted; none where it was deleted."""
    name, _, number = version.partition("/")
    try:
        return sorted(Labels(state).version(name, int(number)).labels)
    except (EdgeError, ValueError):
        return []


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isascii() and path.name.isdigit())


def _current(folder: Path) -> int:
    try:
        return int((folder / CURRENT).read_text())
    except (OSError, ValueError):
        return max(_numbers(folder), default=0)
