"""The tables of ``collections.sqlite``, as numbered migrations. A released migration never changes.

``faces.row`` and ``removed.sequence`` are never reused: a snapshot of a collection
catches up by reading rows and removals after its last ones.
"""

from __future__ import annotations

from edge.core.storage.vault import MAGIC

FIRST = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,               -- seconds since the epoch
    space TEXT,                          -- fingerprint of the embedding space; set by the first face
    dimensions INTEGER
);

CREATE TABLE faces (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id TEXT NOT NULL,
    subject TEXT,
    external_image_id TEXT,
    image_id TEXT NOT NULL,
    box_left REAL, box_top REAL, box_right REAL, box_bottom REAL,
    confidence REAL NOT NULL,
    quality REAL NOT NULL,
    created REAL NOT NULL,
    origin TEXT NOT NULL,                -- 'device' or 'hub'
    space TEXT NOT NULL,
    vector BLOB NOT NULL,                -- float32, little endian, length 1
    UNIQUE (collection, face_id)
);
CREATE INDEX faces_of_collection ON faces (collection);
CREATE INDEX faces_of_subject ON faces (collection, subject);

CREATE TABLE removed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    row INTEGER NOT NULL,                -- of the face that is gone
    face_id TEXT NOT NULL,
    removed REAL NOT NULL                -- seconds since the epoch
);
CREATE INDEX removed_of_collection ON removed (collection);
CREATE INDEX removed_of_face ON removed (collection, face_id);

CREATE TRIGGER face_removed AFTER DELETE ON faces
WHEN EXISTS (SELECT 1 FROM collections WHERE id = OLD.collection)
BEGIN
    INSERT INTO removed (collection, row, face_id, removed)
    VALUES (OLD.collection, OLD.row, OLD.face_id, (julianday('now') - 2440587.5) * 86400.0);
END;
"""

SECOND = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    created REAL NOT NULL,               -- seconds since the epoch
    revision INTEGER NOT NULL DEFAULT 0, -- moves whenever the user gains or loses a face
    UNIQUE (collection, user_id)
);

CREATE TABLE user_faces (
    face INTEGER PRIMARY KEY REFERENCES faces (row) ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX faces_of_user ON user_faces (user);

CREATE TRIGGER user_gained AFTER INSERT ON user_faces
BEGIN
    UPDATE users SET revision = revision + 1 WHERE id = NEW.user;
END;

CREATE TRIGGER user_lost AFTER DELETE ON user_faces
BEGIN
    UPDATE users SET revision = revision + 1 WHERE id = OLD.user;
END;
"""

MIGRATIONS: tuple[str, ...] = (FIRST, SECOND)
"""migration n upgrades a database from version n to n + 1"""

SEALED_ONLY = "faces_are_sealed"
"""name of the trigger in GUARD"""
GUARD = f"""
CREATE TRIGGER IF NOT EXISTS {SEALED_ONLY} BEFORE INSERT ON faces
WHEN substr(NEW.vector, 1, 4) <> x'{MAGIC.hex()}'
BEGIN
    SELECT RAISE(ABORT, 'the collections were encrypted meanwhile: start this program again');
END
"""
"""while the folder is encrypted: a process that opened it before cannot write plain text"""
