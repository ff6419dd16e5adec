"""Paths of the state folder, and for each file what its damage costs and how it is repaired.

``STATE_FILES`` is the one table of all files. The daemon goes through it at its start (``repair.py``), ``edge doctor``
when it looks, and a test damages each file in every way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SYNC = "sync"
"""releases, below the state folder"""
MANIFEST = "manifest.json"
"""file of a complete release"""

FileKind = Literal["sqlite", "list", "table", "folder", "plain"]
"""``list`` and ``table`` are JSON; ``plain`` is anything, of which only its place can be wrong"""


SALVAGED = "what could be read of it was taken over"


@dataclass(frozen=True, slots=True)
class StateFile:
    """A file or folder of the state folder."""

    name: str
    kind: FileKind
    holds: str
    damaged: str
    """what is missing while it is set aside"""
    way_out: str = "nothing has to be done"
    """an imperative"""
    personal: bool = False
    """names, embeddings or pictures of people: an erasure deletes what was set aside as well"""


COLLECTIONS = StateFile(
    "collections.sqlite", "sqlite", "collections, faces and users",
    f"{SALVAGED}; the other faces are not recognized",
    "import the last export (edge collection import), or enroll the pictures again", personal=True,
)  # fmt: skip
REVIEW = StateFile(
    "review.sqlite", "sqlite", "questions, answers, strangers and rejected looks",
    f"{SALVAGED}; the other questions and answers are gone",
    "nothing has to be done: new questions come", personal=True,
)  # fmt: skip
HISTORY = StateFile(
    "history.sqlite", "sqlite", "what cameras saw",
    f"{SALVAGED}; other appearances are gone", personal=True,
)  # fmt: skip
OUTBOX = StateFile(
    "outbox.sqlite", "sqlite", "events that wait for the broker",
    "events that waited in it are not delivered", "nothing has to be done: new events are kept", personal=True,
)  # fmt: skip
API = StateFile(
    "api.sqlite", "sqlite", "the endpoint's tags, stream processors and tokens",
    SALVAGED, "create the missing stream processors and tags again", personal=True,
)  # fmt: skip
PROJECTS = StateFile(
    "projects.sqlite", "sqlite", "Custom Labels projects and datasets",
    f"{SALVAGED}; trained versions are in labels/", "create the missing projects again",
)  # fmt: skip
VIDEOS = StateFile(
    "videos.sqlite", "sqlite", "jobs over stored videos and their findings",
    SALVAGED, "start the missing jobs again", personal=True,
)  # fmt: skip
ENCRYPTION = StateFile(
    "encryption.json", "table", "the id of the key that the folder is encrypted with",
    "it is written again where one of the keys given is the one that was used",
    "give the key that was used (credential storage-key), then start again",
)  # fmt: skip
FORGOTTEN = StateFile(
    "forgotten.json", "list", "digests of erased subjects, for the hub",
    "the hub is told nothing more of those that it has not heard of", "run 'edge forget' again for recent erasures",
)  # fmt: skip
COMMANDS = StateFile(
    "commands.json", "table", "counters of signed commands",
    "commands that were signed before now are refused",
)  # fmt: skip
HOMEASSISTANT = StateFile(
    "homeassistant.json", "table", "what was announced to Home Assistant",
    "what is announced no more stays in Home Assistant", "delete leftover entities in Home Assistant by hand",
)  # fmt: skip
RETAINED = StateFile(
    "retained.json", "table", "topics of retained messages at the broker",
    "messages of settings that changed since stay at the broker", "clear them by hand: mosquitto_pub -r -n -t TOPIC",
)  # fmt: skip
CLOCK = StateFile(
    "clock.json", "table", "trusted time", "ages are counted from now on",
)  # fmt: skip
SIGNATURES = StateFile(
    "api-signatures", "plain", "digests of signed requests that were done",
    "recorded requests of the last minutes can be repeated once",
)  # fmt: skip
LOCK = StateFile("lock", "plain", "the process of the daemon", "nothing")
CONTROL = StateFile("control", "plain", "the daemon's socket for commands", "nothing")
CHECKED = StateFile(
    "models/checked.json", "list", "models that passed their check", "models are checked again"
)  # fmt: skip
INDEXES = StateFile("indexes", "folder", "search indexes", "they are built again", personal=True)
LABELS = StateFile(
    "labels", "folder", "trained custom labels", "custom labels are not told", "train them again: edge labels train"
)
MODELS = StateFile(
    "models",
    "folder",
    "models that were added",
    "they cannot be used",
    "add them again: edge models add, edge models get",
)
RECORDS = StateFile(
    "rekognition", "folder", "records of stream processors", "older records are missing",
    personal=True,
)  # fmt: skip
DOWNLOADS = StateFile("downloads", "folder", "downloads that are not finished", "they begin again")
UPLOADS = StateFile(
    "uploads", "folder", "uploads in parts that are not finished", "they begin again",
    personal=True,
)  # fmt: skip
RELEASES = StateFile(SYNC, "folder", "releases", "they are fetched again", "run 'edge sync'")

STATE_FILES = (
    LOCK, ENCRYPTION, CLOCK, COLLECTIONS, REVIEW, HISTORY, OUTBOX, API, PROJECTS, VIDEOS, FORGOTTEN, COMMANDS,
    SIGNATURES, HOMEASSISTANT, RETAINED, CONTROL, MODELS, CHECKED, INDEXES, LABELS, RECORDS, DOWNLOADS, UPLOADS,
    RELEASES,
)  # fmt: skip
"""every file of the daemon's state folder; files inside ``folder`` entries belong to whoever keeps the folder"""


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Paths of one state folder. Nothing is created."""

    state: Path

    def path(self, file: StateFile) -> Path:
        return self.state / file.name

    @property
    def sync(self) -> Path:
        return self.state / SYNC

    @property
    def releases(self) -> Path:
        """One folder per release."""
        return self.sync / "releases"

    def release(self, release: str) -> Path:
        """Folder of a release by its id."""
        return self.releases / release

    @property
    def current_release(self) -> str:
        """Id of the release in use; empty where there is none."""
        return self.linked_release("current")

    def linked_release(self, link: str) -> str:
        """Id of the complete release that ``current`` or ``previous`` points at; empty where there is none."""
        try:
            name = (self.sync / link).readlink().name
        except OSError:
            return ""
        return name if (self.release(name) / MANIFEST).is_file() else ""

    def set_aside(self) -> list[tuple[StateFile, Path]]:
        """Damaged files that were set aside and still lie there, each with what it was."""
        found = []
        for file in STATE_FILES:
            place = self.path(file)
            try:
                aside = sorted(place.parent.glob(f"{place.name}.damaged-*"))
            except OSError:
                continue
            found += [(file, path) for path in aside if not path.name.endswith(("-wal", "-shm"))]
        return found
