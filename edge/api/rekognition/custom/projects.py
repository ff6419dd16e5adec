"""Projects, datasets with their entries, and versions, in ``<state>/projects.sqlite``.

The ARN of a project, dataset or version ends in its creation time in milliseconds, so that a resource that is deleted
and recreated has a different ARN.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edge.api.rekognition.errors import ApiError
from edge.core.storage import layout
from edge.core.storage.sqlite import Database

FILE = layout.PROJECTS.name
CUSTOM_LABELS, CONTENT_MODERATION = "CUSTOM_LABELS", "CONTENT_MODERATION"
Kind = Literal["train", "test"]
SCHEMA = """
CREATE TABLE IF NOT EXISTS projects (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS project_settings (
    project TEXT PRIMARY KEY REFERENCES projects (name) ON DELETE CASCADE, auto_update TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS project_features (
    project TEXT PRIMARY KEY REFERENCES projects (name) ON DELETE CASCADE, feature TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS datasets (
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE, kind TEXT NOT NULL, number INTEGER NOT NULL,
    updated REAL NOT NULL, status TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (project, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    position INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
    line TEXT NOT NULL, labels TEXT NOT NULL, error TEXT NOT NULL, UNIQUE (project, kind, source),
    FOREIGN KEY (project, kind) REFERENCES datasets (project, kind) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS versions (
    project TEXT NOT NULL REFERENCES projects (name), name TEXT NOT NULL, number INTEGER NOT NULL,
    document TEXT NOT NULL, PRIMARY KEY (project, name)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A project: datasets, and the versions trained on them."""

    name: str
    number: int
    """milliseconds since the epoch"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset for training or testing; its entries are stored separately."""

    project: str
    kind: Kind
    number: int
    updated: float
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One line of a dataset's manifest."""

    position: int
    source: str
    line: str
    labels: dict[str, int]
    """label -> number of its boxes; 0 for a label of the whole picture"""
    error: str


@dataclass(frozen=True, slots=True)
class ProjectVersion:
    """A version and its status."""

    project: str
    name: str
    number: int
    status: str
    message: str = ""
    description: str = ""
    output: dict[str, str] = field(default_factory=dict)
    """OutputConfig of the request"""
    inference_units: int = 0
    max_inference_units: int = 0
    kms_key: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    """TrainingData and TestingData of the request"""
    seconds: float = 0.0
    """of training"""
    ended: float = 0.0
    """seconds since the epoch; 0 during training"""
    f1: float = 0.0
    summary: dict[str, str] = field(default_factory=dict)
    """S3Object of the evaluation summary"""
    results: dict[str, Any] = field(default_factory=dict)
    """members of its description with the S3 locations of its manifests"""
    head: int = 0
    """its version number in the head store"""


class Projects:
    """The database. Raises StoreError."""

    def __init__(self, state: Path) -> None:
        self._db = Database(state / FILE, SCHEMA)

    def close(self) -> None:
        self._db.close()

    def create(self, name: str, auto_update: str = "DISABLED", feature: str = CUSTOM_LABELS) -> Project:
        project = Project(name, _now())
        with self._db.writing() as db:
            if db.execute("SELECT 1 FROM projects WHERE name=?", (name,)).fetchone():
                raise ApiError("ResourceInUseException", f"A project with the name {name} exists already.")
            db.execute("INSERT INTO projects VALUES (?,?)", (name, project.number))
            db.execute("INSERT INTO project_settings VALUES (?,?)", (name, auto_update))
            db.execute("INSERT INTO project_features VALUES (?,?)", (name, feature))
        return project

    def projects(self) -> list[Project]:
        """By name."""
        with self._db.reading() as db:
            return [Project(*row) for row in db.execute("SELECT name, number FROM projects ORDER BY name")]

    def project(self, name: str, number: int) -> Project:
        found = Project(name, number)
        if found not in self.projects():
            raise ApiError("ResourceNotFoundException", "The project does not exist.")
        return found

    def feature(self, project: str) -> str:
        """Feature of a project: CUSTOM_LABELS or CONTENT_MODERATION."""
        with self._db.reading() as db:
            row = db.execute("SELECT feature FROM project_features WHERE project=?", (project,)).fetchone()
        return str(row[0]) if row else CUSTOM_LABELS

    def auto_update(self, project: Project) -> str:
        """ENABLED or DISABLED, from CreateProject."""
        with self._db.reading() as db:
            sql = "SELECT auto_update FROM project_settings WHERE project=?"
            row = db.execute(sql, (project.name,)).fetchone()
        return str(row[0]) if row else "DISABLED"

    def delete(self, project: Project) -> None:
        with self._db.writing() as db:
            if db.execute("SELECT 1 FROM versions WHERE project=?", (project.name,)).fetchone():
                raise ApiError("ResourceInUseException", "The project has versions: delete them first.")
            db.execute("DELETE FROM projects WHERE name=?", (project.name,))

    def create_dataset(self, project: Project, kind: Kind) -> Dataset:
        dataset = Dataset(project.name, kind, _now(), time.time(), "CREATE_COMPLETE", "")
        with self._db.writing() as db:
            if db.execute("SELECT 1 FROM datasets WHERE project=? AND kind=?", (project.name, kind)).fetchone():
                raise ApiError("ResourceAlreadyExistsException", f"The project has a {kind} dataset already.")
            db.execute("INSERT INTO datasets VALUES (?,?,?,?,?,?)", tuple(asdict(dataset).values()))
        return dataset

    def datasets(self, project: str) -> list[Dataset]:
        with self._db.reading() as db:
            rows = db.execute("SELECT * FROM datasets WHERE project=? ORDER BY kind DESC", (project,))
            return [Dataset(*row) for row in rows]

    def dataset(self, project: str, kind: str, number: int) -> Dataset:
        for one in self.datasets(project):
            if (one.kind, one.number) == (kind, number):
                return one
        raise ApiError("ResourceNotFoundException", "The dataset does not exist.")

    def delete_dataset(self, dataset: Dataset) -> None:
        with self._db.writing() as db:
            db.execute("DELETE FROM datasets WHERE project=? AND kind=?", (dataset.project, dataset.kind))

    def put_entries(self, dataset: Dataset, entries: Sequence[DatasetEntry], status: str, message: str = "") -> None:
        """Add or replace entries by source, and set the dataset's status."""
        place = (dataset.project, dataset.kind)
        with self._db.writing() as db:
            for one in entries:
                db.execute(
                    "INSERT INTO entries (project, kind, source, line, labels, error) VALUES (?,?,?,?,?,?) "
                    "ON CONFLICT (project, kind, source) DO UPDATE "
                    "SET line=excluded.line, labels=excluded.labels, error=excluded.error",
                    (*place, one.source, one.line, json.dumps(one.labels), one.error),
                )
            db.execute(
                "UPDATE datasets SET status=?, message=?, updated=? WHERE project=? AND kind=?",
                (status, message, time.time(), *place),
            )

    def entries(self, dataset: Dataset, after: int = 0) -> Iterator[DatasetEntry]:
        """Entries in insertion order."""
        sql = "SELECT position, source, line, labels, error FROM entries WHERE project=? AND kind=? AND position>?"
        with self._db.reading() as db:
            rows = db.execute(f"{sql} ORDER BY position", (dataset.project, dataset.kind, after)).fetchall()
        for position, source, line, labels, error in rows:
            yield DatasetEntry(position, source, line, json.loads(labels), error)

    def move(self, positions: Sequence[int], dataset: Dataset) -> None:
        """Move entries into another dataset of the project."""
        with self._db.writing() as db:
            db.executemany("UPDATE entries SET kind=? WHERE position=?", [(dataset.kind, one) for one in positions])

    def create_version(self, version: ProjectVersion) -> None:
        with self._db.writing() as db:
            if db.execute(
                "SELECT 1 FROM versions WHERE project=? AND name=?", (version.project, version.name)
            ).fetchone():
                raise ApiError("ResourceInUseException", f"A version with the name {version.name} exists already.")
            db.execute("INSERT INTO versions VALUES (?,?,?,?)", _row(version))

    def save_version(self, version: ProjectVersion) -> None:
        with self._db.writing() as db:
            db.execute("UPDATE versions SET document=? WHERE project=? AND name=?", (
                _row(version)[3], version.project, version.name,
            ))  # fmt: skip

    def versions(self, project: str | None = None) -> list[ProjectVersion]:
        """Newest first; of all projects where ``project`` is None."""
        with self._db.reading() as db:
            sql = "SELECT document FROM versions WHERE ?1 IS NULL OR project=?1 ORDER BY number DESC, name"
            return [ProjectVersion(**json.loads(row[0])) for row in db.execute(sql, (project,))]

    def version(self, project: str, name: str, number: int) -> ProjectVersion:
        for one in self.versions(project):
            if (one.name, one.number) == (name, number):
                return one
        raise ApiError("ResourceNotFoundException", "The version of the project does not exist.")

    def delete_version(self, version: ProjectVersion) -> None:
        with self._db.writing() as db:
            db.execute("DELETE FROM versions WHERE project=? AND name=?", (version.project, version.name))

    def interrupted(self) -> None:
        """Mark versions whose training the last stop of the endpoint interrupted as failed."""
        for one in self.versions():
            if one.status == "TRAINING_IN_PROGRESS":
                self.save_version(replace(one, status="TRAINING_FAILED", message="The endpoint was restarted."))


def new_version(project: Project, name: str, **members: Any) -> ProjectVersion:
    return ProjectVersion(project.name, name, _now(), "TRAINING_IN_PROGRESS", **members)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _row(version: ProjectVersion) -> tuple[str, str, int, str]:
    return version.project, version.name, version.number, json.dumps(asdict(version))
