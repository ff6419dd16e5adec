"""What the doctor looks at, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.compat import StrEnum
from edge.core.errors import EdgeError
from edge.recognition.recorded_embedder import with_recorded_embedders

if TYPE_CHECKING:
    from edge.core.settings.loader import Loaded
    from edge.core.settings.schema import Settings


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """worth knowing; nothing is wrong"""
    WARNING = "warning"
    """something does not work as it should, or soon will not"""
    ERROR = "error"
    """something does not work"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen."""

    level: Level
    part: str
    """of ``PARTS``"""
    what: str
    why: str = ""
    try_: str = ""
    """what to try, an imperative; empty where nothing needs to be done"""

    @property
    def wrong(self) -> bool:
        return self.level in (Level.WARNING, Level.ERROR)

    @classmethod
    def of(cls, part: str, error: EdgeError, what: str = "", level: Level = Level.ERROR) -> Finding:
        """An error's own words; ``what`` comes before them where it says more."""
        return cls(level, part, what or error.message, error.message if what else "", error.hint)


@dataclass(frozen=True)
class DoctorContext:
    """A device: its settings, its state folder, and whether its daemon runs."""

    loaded: Loaded
    state: Path
    daemon: int | None = None
    """process of the running daemon"""
    seconds: float = 8.0
    """to wait for a camera's first frame, or for the broker"""
    unit: str = field(default="edge.service")

    @cached_property
    def settings(self) -> Settings:
        """With the embedders that collections were made with."""
        return with_recorded_embedders(self.loaded.settings, self.state)
