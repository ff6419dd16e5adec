"""Changes to a settings file that keep everything else in it as it was written, comments included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.settings.locations import locate

BY_HAND = "add it to detectors by hand"


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
    """Write the key into its line, or after its table's header. ``at``, ``header``: lines from 1."""
    if at is not None:
        _, found, value = lines[at - 1].partition("=")
        if not found or not value.split("#")[0].strip().endswith("]"):
            raise SettingsError(f"line {at}: detectors is written over several lines", BY_HAND)
        lines[at - 1] = _line(names)
    elif header is not None:
        lines.insert(header, _line(names))
    else:
        raise SettingsError("the section of detectors is not found", BY_HAND)


def _line(names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"detectors = [{quoted}]"
