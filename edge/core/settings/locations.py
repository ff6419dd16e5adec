"""Where in a TOML file a setting stands, so that an error can name the line.

``tomllib`` does not keep positions. This reads headers and keys line by line, which is enough to point at them; what
it does not understand (a key inside an inline table) is found at the line of the key around it.
"""

from __future__ import annotations

import re

Location = tuple[str | int, ...]
"""names and, in arrays of tables, numbers: ``("cameras", 0, "fps")``"""

BARE_OR_QUOTED = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
DOTTED = rf"{BARE_OR_QUOTED}(?:\s*\.\s*{BARE_OR_QUOTED})*"
HEADER = re.compile(rf"\s*(\[\[?)\s*({DOTTED})\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(rf"\s*({DOTTED})\s*=")


def locate(text: str) -> dict[Location, int]:
    """The line, from 1, of each key and table header of a TOML document."""
    lines: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = _inside_arrays(_parts(header[2]), counts, opens=header[1] == "[[")
            lines.setdefault(table, number)
        elif key := KEY.match(line):
            lines.setdefault(table + _parts(key[1]), number)
    return lines


def line_of(location: Location, lines: dict[Location, int]) -> int | None:
    """The line of a setting, of the first key inside it, or of the nearest thing around it that has one."""
    inside = [number for key, number in lines.items() if key[: len(location)] == location]
    if location and inside:
        return min(inside)
    for length in range(len(location), 0, -1):
        if (number := lines.get(location[:length])) is not None:
            return number
    return None


def _parts(dotted: str) -> Location:
    return tuple(part.strip("\"'") for part in re.findall(BARE_OR_QUOTED, dotted))


def _inside_arrays(names: Location, counts: dict[Location, int], *, opens: bool) -> Location:
    """The names with the number of the current element after each array of tables."""
    path: Location = ()
    for name in names[:-1]:
        path += (name,)
        if path in counts:
            path += (counts[path],)
    path += (names[-1],)
    if opens:
        counts[path] = counts.get(path, -1) + 1
        path += (counts[path],)
    return path
