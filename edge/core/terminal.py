"""Text from outside on a terminal: nothing in it moves the cursor, sets a title or changes the reading order."""

from __future__ import annotations

OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode's embeddings, overrides and isolates of the reading direction (Unicode Annex 9)"""
MARKS = frozenset("\u061c\u200e\u200f")
"""marks of the reading direction, which names in Arabic and Hebrew use"""


def is_control(character: str) -> bool:
    """C0 and C1 controls, line and paragraph separators, surrogates."""
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or code in (0x2028, 0x2029) or 0xD800 <= code <= 0xDFFF


def plain(text: str, keep: str = "") -> str:
    r"""``text`` with controls and marks of direction as ``\u202e``; those of ``keep`` stay as they are."""
    return "".join(character if _is_harmless(character, keep) else _escaped(character) for character in text)


def plain_json(document: str) -> str:
    r"""A JSON document with the same values: what a terminal would obey is written ``\u009b``."""
    return plain(document, keep="\n")


def _is_harmless(character: str, keep: str) -> bool:
    return character in keep or not (is_control(character) or character in OVERRIDES or character in MARKS)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"
