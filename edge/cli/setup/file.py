"""The settings file: a new one with a comment for each key, or changes that leave the rest as it was written."""

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
# Cameras come last: what follows a [[cameras]] line belongs to that camera.
"""
BY_HAND = "write them into the file by hand"


def target(explicit: str | None) -> Path:
    """The file to write: the one in force, that of the service where it is installed, else one in this folder."""
    found = loader.find(Path(explicit) if explicit else None)
    if found is not None:
        return found
    return loader.SYSTEM_FILE if os.access(loader.SYSTEM_FILE.parent, os.W_OK) else Path("edge.toml")


def changed(text: str, values: Mapping[str, Any]) -> str:
    """A settings text with ``values`` (section -> key -> value) in it; comments and everything else stay.

    Raises SettingsError where the text is written in a way that cannot be changed.
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
    """Replace a file that may hold secrets, whole or not at all; its owner and mode stay. Raises OSError.

    A new one is for its owner alone; root's is for the folder's group as well, which is the daemon's.
    """
    before = path.stat() if path.exists() else None
    root = os.geteuid() == 0
    mode = before.st_mode & 0o777 if before else 0o640 if root else 0o600
    files.write_bytes(path, text.encode(), mode)
    if root:
        owner = before or path.parent.stat()
        os.chown(path, before.st_uid if before else 0, owner.st_gid)


def _set_cameras(document: Any, cameras: list[dict[str, str]]) -> list[dict[str, str]]:
    """Set the sources of cameras that are there; returns those that are not."""
    known = {camera.get("name", "camera"): camera for camera in document.get("cameras", ())}
    for one in cameras:
        if one["name"] in known:
            known[one["name"]]["source"] = one["source"]
    return [one for one in cameras if one["name"] not in known]


def _holds(text: str, values: Mapping[str, Any]) -> bool:
    """Whether the text is TOML and sets the values."""
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
