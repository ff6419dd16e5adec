"""Backports for Python 3.10 (JetPack 6). Timeouts of asyncio are chosen where they are used."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib
    from enum import StrEnum
else:
    import enum

    import tomli as tomllib

    class StrEnum(str, enum.Enum):
        """Members are strings, and print as their values."""

        __str__ = str.__str__
        __format__ = str.__format__  # type: ignore[assignment]


__all__ = ["StrEnum", "tomllib"]
