"""Where things lie in the state folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYNC = "sync"
"""releases, below the state folder"""
MANIFEST = "manifest.json"
"""file of a complete release"""


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Paths of one state folder. Nothing is created."""

    state: Path

    @property
    def sync(self) -> Path:
        return self.state / SYNC

    def release(self, release: str) -> Path:
        """Folder of a release by its id."""
        return self.sync / "releases" / release

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
