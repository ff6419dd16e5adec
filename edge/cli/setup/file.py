"""The settings file: a new file with a comment per key, or changes that keep the rest of an existing one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.core import plugins
from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.settings import loader, template
from edge.core.storage import files

HEAD = """\
# Written by edge setup. config/edge.toml has every setting; edge config check FILE tries a change.
# Keep cameras last: keys after a [[cameras]] line belong to that camera.
"""
BY_HAND = "edit the file by hand"


def target(explicit: str | None) -> Path:
    """The file to write: the active one, else the service's where its folder is writable, else ``edge.toml`` here."""
    found = loader.find(Path(explicit) if explicit else None)
    if found is not None:
        return found
    return loader.SYSTEM_FILE if os.access(loader.SYSTEM_FILE.parent, os.W_OK) else Path("edge.toml")


def changed(text: str, values: Mapping[str, Any]) -> str:
    """Set ``values`` (section -> key -> value) in a settings text; comments and other settings are kept.

    Raises SettingsError where the text cannot be edited.
    """
    if not text.strip():
        return HEAD + "\n" + template.commented(values)
    plugins.want("api", "changing a settings file needs")
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        fresh = {name: section for name, section in values.items() if name not in document and name != "cameras"}
        new_cameras = _set_cameras(document, values.get("cameras", ()))
        for name, section in values.items():
            if name not in fresh and name != "cameras":
                for key, value in section.items():
                    document[name][key] = value
        appended = template.commented({**fresh, **({"cameras": new_cameras} if new_cameras else {})})
        new = tomlkit.dumps(document).rstrip("\n") + ("\n\n" + appended if appended else "\n")
    except (TOMLKitError, TypeError, AttributeError) as error:  # a section that is no table
        raise SettingsError(f"the settings cannot be changed: {error}", BY_HAND) from error
    if not _holds(new, values):
        raise SettingsError(f"the settings cannot be changed to {template.written(values).strip()}", BY_HAND)
    return new


def write(path: Path, text: str) -> None:
    """Replace a file that may hold secrets, atomically; owner and mode are kept. Raises OSError.

    A new file is readable by its owner only; one written by root also by the folder's group, the daemon's.
    """
    before = path.stat() if path.exists() else None
    root = os.geteuid() == 0
    mode = before.st_mode & 0o777 if before else 0o640 if root else 0o600
    files.write_bytes(path, text.encode(), mode)
    if root:
        owner = before or path.parent.stat()
        os.chown(path, before.st_uid if before else 0, owner.st_gid)


def _set_cameras(document: Any, cameras: list[dict[str, str]]) -> list[dict[str, str]]:
    """Set the sources of existing cameras; returns the cameras that do not exist."""
    known = {camera.get("name", "camera"): camera for camera in document.get("cameras", ())}
    for one in cameras:
        if one["name"] in known:
            known[one["name"]]["source"] = one["source"]
    return [one for one in cameras if one["name"] not in known]


def _holds(text: str, values: Mapping[str, Any]) -> bool:
    """Whether the text is valid TOML and contains the values."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    sources = {camera.get("name", "camera"): camera.get("source") for camera in document.get("cameras", ())}
    return all(sources.get(one["name"]) == one["source"] for one in values.get("cameras", ())) and all(
        document.get(name, {}).get(key) == value
        for name, section in values.items()
        if name != "cameras"
        for key, value in section.items()
    )
