"""The rule for names of subjects: they become parts of messages, folders and tables."""

from __future__ import annotations

from edge.errors import InputError

LONGEST = 255
"""characters"""

RULE = f"1 to {LONGEST} characters, no control characters, no '/' or '\\', and not '.' or '..'"


def checked(name: str) -> str:
    """``name`` itself where it may name a subject. Raises InputError with the rule."""
    if 1 <= len(name) <= LONGEST and name not in (".", "..") and not any(map(_forbidden, name)):
        return name
    shown = name if len(name) <= 40 else f"{name[:40]}... ({len(name)} characters)"
    raise InputError(f"subject: expected {RULE}, got {shown!r}", "give the subject another name", code="subject")


def _forbidden(character: str) -> bool:
    code = ord(character)
    control = code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029)
    return control or 0xD800 <= code <= 0xDFFF or character in "/\\"
