"""``review.sqlite``: small, private, and without traces of what was deleted."""

from __future__ import annotations

from pathlib import Path

from edge.database import Database

FILE = "review.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS doubts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, reason TEXT NOT NULL, subject TEXT,
    document TEXT NOT NULL, vector BLOB NOT NULL, crop BLOB);
CREATE INDEX IF NOT EXISTS doubts_time ON doubts (time);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, answer TEXT NOT NULL, subject TEXT, collection TEXT NOT NULL,
    label TEXT NOT NULL, face_id TEXT, crop BLOB);
CREATE TABLE IF NOT EXISTS anchors (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, subject TEXT NOT NULL, space TEXT NOT NULL, time REAL NOT NULL,
    vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS strangers (
    id INTEGER PRIMARY KEY, number INTEGER UNIQUE, collection TEXT NOT NULL, label TEXT NOT NULL, space TEXT NOT NULL,
    first REAL NOT NULL, last REAL NOT NULL, times INTEGER NOT NULL, quality REAL NOT NULL, looks BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def opened(state: Path) -> Database:
    """The database of a state folder. Raises StoreError."""
    return Database(state / FILE, SCHEMA)
