"""Edits of the settings file: comments are kept, the loader validates, the last change can be undone."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.credentials import mask_credentials
from edge.core.errors import ConflictError, InputError, StoreError
from edge.core.settings import loader
from edge.core.storage import files

BEFORE = "settings-before.toml"
"""in the state folder: a copy of the file before the last change"""
MAX_BYTES = 1 << 20
MAX_DEPTH = 8
SECRET_LINE = re.compile(r"(?im)^(\s*[\w.\-\"']*(?:password|secret|token|key|webhook)[\w\"']*\s*=\s*)\S.*$")

Key = str | int


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A value to set or to remove."""

    path: tuple[Key, ...]
    """``("cameras", 0, "zones", "mat")``"""
    value: Any
    """None: remove the key, so that the default applies"""


class SettingsFile:
    """The settings file of this device. Raises StoreError where it cannot be read or written."""

    def __init__(self, path: Path, state: Path) -> None:
        self.path, self._before = path, state / BEFORE

    def text(self) -> str:
        """The content; empty where there is no file."""
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
            if len(data) > MAX_BYTES:
                raise StoreError(f"{self.path}: {len(data)} bytes, at most {MAX_BYTES} are read", "make it smaller")
            return data.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.path}: cannot be read: {error}", "check its owner and its encoding") from error

    def changed(self, base: str, changes: Sequence[SettingChange]) -> str:
        """The text with the changes applied. ``base``: digest of the text that they are based on.

        Raises ConflictError where the file has changed since, InputError for an unknown path, SettingsError for invalid
        values.
        """
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        text = self.text()
        if digest(text) != base:
            raise ConflictError(f"{self.path} was changed meanwhile", "load the page again, and make the change anew")
        try:
            document = tomlkit.parse(text)
            for one in changes:
                _set(document, one)
            new = tomlkit.dumps(document)
        except TOMLKitError as error:
            raise InputError(f"{self.path}: cannot be changed: {error}", "edit the file by hand") from error
        loader.check_text(new, self.path)
        return new

    def write(self, base: str, new: str) -> None:
        """Replace the file and keep the previous text for ``undo``. Raises ConflictError as ``changed``."""
        text = self.text()
        if digest(text) != base:
            raise ConflictError(f"{self.path} was changed meanwhile", "load the page again, and make the change anew")
        try:
            mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o600
            files.write_bytes(self._before, f"{digest(new)}\n{text}".encode())
            files.write_bytes(self.path, new.encode(), mode)
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be written: {error.strerror}", "let the service write it, or edit it by hand"
            ) from error

    @property
    def undoable(self) -> bool:
        """Whether the file is unchanged since the last edit, and the previous text is kept."""
        return self._kept() is not None

    def undo(self) -> None:
        """Restore the text before the last edit. Raises ConflictError where the file has changed since."""
        before = self._kept()
        if before is None:
            raise ConflictError("no change can be undone: the file was changed since", "edit the file by hand")
        try:
            loader.check_text(before, self.path)
            mode = self.path.stat().st_mode & 0o777
            files.write_bytes(self.path, before.encode(), mode)
            self._before.unlink()
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}", "edit it by hand") from error

    def _kept(self) -> str | None:
        try:
            written, _, before = self._before.read_text(encoding="utf-8").partition("\n")
        except (OSError, UnicodeDecodeError):
            return None
        return before if written == digest(self.text()) else None


def digest(text: str) -> str:
    """Digest that identifies a text of the file."""
    return hashlib.sha256(text.encode()).hexdigest()


def diff(old: str, new: str) -> str:
    """A change as a unified diff, with secrets masked."""
    lines = difflib.unified_diff(masked(old).splitlines(), masked(new).splitlines(), "now", "then", lineterm="", n=2)
    return "\n".join(list(lines)[2:])


def masked(text: str) -> str:
    """A settings text with secrets masked."""
    return mask_credentials(SECRET_LINE.sub(r'\1"***"', text))


def _set(document: Any, change: SettingChange) -> None:
    *parents, last = change.path
    place = document
    for depth, key in enumerate(parents):
        place = _inside(place, key, change.path[depth + 1])
    if change.value is None:
        if isinstance(place, list) and isinstance(last, int):
            _index(place, last)
            del place[last]
        elif last in place:
            del place[last]
        return
    if isinstance(place, list) and isinstance(last, int):
        if last == len(place):
            place.append(_table(change.value) if isinstance(change.value, dict) else change.value)
        else:
            _index(place, last)
            place[last] = change.value
        return
    place[last] = change.value


def _inside(place: Any, key: Key, following: Key) -> Any:
    import tomlkit

    if isinstance(key, int):
        _index(place, key)
        return place[key]
    if key not in place:
        place[key] = tomlkit.aot() if isinstance(following, int) else tomlkit.table()
    return place[key]


def _index(place: Any, key: int) -> None:
    if not isinstance(place, list) or not 0 <= key < len(place):
        raise InputError(f"there is no entry {key}", "load the page again", code="path")


def _table(values: dict[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for name, value in values.items():
        table[name] = value
    return table
