"""The hub's database of scripts/chaos: an SQLite file, or a PostgreSQL server that is killed as well."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from rigs.postgres import Postgres

CHECK = """SELECT count(bt_index_check(i.indexrelid, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relname LIKE 'events%' AND c.relkind = 'i'"""
"""raises where an index of the events and its table differ"""


@dataclass(frozen=True)
class SqliteFile:
    """The hub's file."""

    path: Path

    @property
    def address(self) -> str:
        return str(self.path)

    def query(self, statement: str) -> Sequence[tuple[object, ...]]:
        with sqlite3.connect(self.path, timeout=1) as db:
            return db.execute(statement).fetchall()

    def count(self) -> int:
        """Stored events; 0 where the file cannot be read now."""
        try:
            return int(str(self.query("SELECT count(*) FROM events")[0][0]))
        except sqlite3.Error:
            return 0

    def check(self) -> str:
        return str(self.query("PRAGMA integrity_check")[0][0])


@dataclass
class PostgresServer:
    """A server of its own. One of the parts that are killed."""

    server: Postgres
    address: str
    log: Path
    name: str = "database"
    process: subprocess.Popen[bytes] | None = None
    """None: the server outlives the trial, to be read"""
    kills: int = 0

    def start(self) -> None:
        if self.server.process is None:
            self.server.start()

    def kill(self) -> None:
        self.server.kill()
        self.kills += 1

    def wait_ready(self) -> None:
        """``start`` has waited already."""

    def query(self, statement: str) -> Sequence[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(self.address) as db:
            return db.execute(statement.encode()).fetchall()

    def count(self) -> int:
        """Stored events; 0 where the server does not answer now."""
        import psycopg

        try:
            return int(str(self.query("SELECT count(*) FROM events")[0][0]))
        except psycopg.Error:
            return 0

    def check(self) -> str:
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as db:
            db.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        return "ok" if self.query(CHECK)[0][0] else "no index"
