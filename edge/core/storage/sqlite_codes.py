"""SQLite's primary result codes, as https://www.sqlite.org/rescode.html numbers them."""

from __future__ import annotations

import enum


class SqliteCode(enum.IntEnum):
    """A primary result code: the low byte of an extended one."""

    OTHER = 0
    PERM = 3
    BUSY = 5
    LOCKED = 6
    NOMEM = 7
    READONLY = 8
    IOERR = 10
    CORRUPT = 11
    FULL = 13
    CANTOPEN = 14
    NOTADB = 26


_MESSAGES = {
    "access permission denied": SqliteCode.PERM,
    "database is locked": SqliteCode.BUSY,
    "database table is locked": SqliteCode.LOCKED,
    "out of memory": SqliteCode.NOMEM,
    "attempt to write a readonly database": SqliteCode.READONLY,
    "disk I/O error": SqliteCode.IOERR,
    "database disk image is malformed": SqliteCode.CORRUPT,
    "malformed database schema": SqliteCode.CORRUPT,
    "database or disk is full": SqliteCode.FULL,
    "unable to open database file": SqliteCode.CANTOPEN,
    "file is not a database": SqliteCode.NOTADB,
}
"""beginning of SQLite's own message -> code: Python 3.10 does not tell the code"""


def code_of(error: Exception) -> SqliteCode:
    """The code of an error; OTHER for one without a code, or one that is not listed."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        text = str(error)
        return next((code for message, code in _MESSAGES.items() if text.startswith(message)), SqliteCode.OTHER)
    return SqliteCode(code & 0xFF) if code & 0xFF in set(SqliteCode) else SqliteCode.OTHER
