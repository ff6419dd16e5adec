"""Names of subjects: the rule for them, as they become parts of messages, folders and tables."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import replace

from edge.core.errors import InputError
from edge.core.terminal import OVERRIDES, is_control
from edge.core.types import Event, Identity, IdentityState

LONGEST = 255
"""characters"""

RULE = (
    f"1 to {LONGEST} characters, no control or bidirectional override characters, no '/' or '\\', and not '.' or '..'"
)


def composed(name: str) -> str:
    """The name as it is stored, composed (Unicode NFC): macOS writes the same name decomposed.

    A name whose bytes this process's locale could not read (C, or a folder named on a Latin-1 system) is read as UTF-8,
    or else as Windows-1252.
    """
    if any("\udc80" <= character <= "\udcff" for character in name):
        with suppress(UnicodeError):
            name = _read_again(name.encode("utf-8", "surrogateescape"))
    return unicodedata.normalize("NFC", name)


def _read_again(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeError:
        return data.decode("cp1252")


def forms(name: str) -> tuple[str, ...]:
    """The composed name, and the forms in which an older version may have stored it."""
    return tuple(dict.fromkeys((composed(name), name, unicodedata.normalize("NFD", name))))


def checked(name: str) -> str:
    """``name``, composed, where it may name a subject. Raises InputError with the rule."""
    name = composed(name)
    if 1 <= len(name) <= LONGEST and name not in (".", "..") and not any(map(_forbidden, name)):
        return name
    shown = name if len(name) <= 40 else f"{name[:40]}... ({len(name)} characters)"
    raise InputError(f"subject: expected {RULE}, got {shown!r}", "give the subject another name", code="subject")


def _forbidden(character: str) -> bool:
    return is_control(character) or character in OVERRIDES or character in "/\\"


def nameless(event: Event, subject: str) -> Event | None:
    """The event without its identity; None where it names somebody else, or nobody."""
    if event.identity.subject != subject:
        return None
    return replace(event, identity=Identity(IdentityState.UNKNOWN, collection=event.identity.collection))
