"""Findings of ``edge doctor``, and the context of its checks."""

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
    """Severity of a finding."""

    OK = "ok"
    NOTE = "note"
    """information; not a problem"""
    WARNING = "warning"
    """degraded, or about to fail"""
    ERROR = "error"
    """something does not work"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    level: Level
    part: str
    """of ``PARTS``"""
    what: str
    why: str = ""
    try_: str = ""
    """remedy, as an imperative; empty: none is needed"""

    @property
    def wrong(self) -> bool:
        """Whether it needs attention."""
        return self.level in (Level.WARNING, Level.ERROR)

    @classmethod
    def of(cls, part: str, error: EdgeError, what: str = "", level: Level = Level.ERROR) -> Finding:
        """A finding from an error; ``what`` replaces its message, which becomes the cause."""
        return cls(level, part, what or error.message, error.message if what else "", error.hint)


@dataclass(frozen=True)
class DoctorContext:
    """A device: its settings, its state folder, and whether its daemon runs."""

    loaded: Loaded
    state: Path
    daemon: int | None = None
    """process id of the running daemon; None: it does not run"""
    seconds: float = 8.0
    """timeout (s) of a camera's first frame and of the broker"""
    unit: str = field(default="edge.service")

    @cached_property
    def settings(self) -> Settings:
        """The settings, with the recorded embedders of collections."""
        return with_recorded_embedders(self.loaded.settings, self.state)
