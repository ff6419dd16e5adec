"""Changes to a settings file that keep everything else in it as it was written, comments included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.settings.locations import locate

BY_HAND = "add it to detectors by hand"
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[^\s"\'#]')
"""a string, a comment, or another character of a list"""


def with_detector(text: str, name: str, usual: Sequence[str], labels: Sequence[str] = ()) -> str:
    """A TOML document in which every camera, and the endpoint where it names its own, uses the detector ``name`` too.

    ``usual``: the detectors of a camera that names none. ``labels``: those that get a section where they have none.
    Raises SettingsError for a document that cannot be changed in this way.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings cannot be read: {error}", "correct them first: edge config check") from error
    cameras = document.get("cameras", [])
    where = locate(text)
    lines = text.splitlines()
    if any(("cameras", number) not in where for number in range(len(cameras))):
        raise SettingsError("the cameras are not written as [[cameras]] sections", BY_HAND)
    places: list[tuple[tuple[str | int, ...], dict[str, Any], Sequence[str]]] = [
        (("cameras", number), camera, usual) for number, camera in enumerate(cameras)
    ]
    if document.get("api", {}).get("detectors"):
        places.append((("api",), document["api"], ()))
    for table, values, default in sorted(places, key=lambda place: -where.get(place[0], 0)):
        present = values.get("detectors", default)
        if name not in present:
            _set(lines, where.get((*table, "detectors")), where.get(table), [*present, name])
    if not cameras:
        lines += ["", "[[cameras]]", _line([*usual, name])]
    lines += [text for label in labels if label not in document.get("labels", {}) for text in ("", f"[labels.{label}]")]
    return "\n".join(lines) + "\n"


def _set(lines: list[str], at: int | None, header: int | None, names: Sequence[str]) -> None:
    """Add the last of ``names`` to the key's list, or write the key after its table's header. Lines count from 1."""
    if at is not None:
        lines[at - 1 :] = _added("\n".join(lines[at - 1 :]), names[-1], at).split("\n")
    elif header is not None:
        lines.insert(header, _line(names))
    else:
        raise SettingsError("the section of detectors is not found", BY_HAND)


def _added(text: str, name: str, at: int) -> str:
    """A text that begins with ``key = [...]``, with a further string in the list; comments stay where they are.

    ``at``: its line, for the error. Raises SettingsError where there is no such list.
    """
    last = None
    for match in TOKEN.finditer(text, text.find("=") + 1):
        mark = match[0]
        if mark == "]" and last is not None:
            return f"{text[: last.end()]}{_member(name, last[0])}{text[last.end() :]}"
        if mark == "[" and last is not None:
            break
        if not mark.startswith("#"):
            last = match
    raise SettingsError(f"line {at}: detectors is not a list of names", BY_HAND)


def _member(name: str, after: str) -> str:
    """A further member of a list, as it is written ``after`` its opening bracket, a comma, or another member."""
    return {"[": f'"{name}"', ",": f' "{name}",'}.get(after, f', "{name}"')


def _line(names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"detectors = [{quoted}]"
