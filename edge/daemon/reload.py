"""What a reload of the settings restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.core.settings.schema import Settings

LIVE = {"log": None, "hub": None, "sync": {"root", "interval"}, "mqtt": {"stats_seconds"}}
"""section -> its settings that apply without a restart; None: all of them"""


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """Differences between two configurations, and the restarts they require."""

    changed: tuple[str, ...]
    """``section.key``, or ``section`` where it is no table"""
    restarts: tuple[str, ...]
    """components to restart"""
    needs_new_run: tuple[str, ...]
    """settings that only a new run of the daemon applies"""

    @classmethod
    def between(cls, old: Settings, new: Settings, sections: Mapping[str, str]) -> SettingsChange:
        """``sections``: section -> the component that can be restarted for it."""
        changed = tuple(_changed(old, new))
        rest = [name for name in changed if not _is_live(name)]
        restarts = [sections[one] for name in rest if (one := name.partition(".")[0]) in sections]
        needs = [name for name in rest if name.partition(".")[0] not in sections]
        return cls(changed, tuple(dict.fromkeys(restarts)), tuple(needs))

    def __str__(self) -> str:
        if not self.changed:
            return "nothing changed"
        restarted = f"; restarted: {', '.join(self.restarts)}" if self.restarts else ""
        return f"applied {', '.join(self.changed)}{restarted}"


def _changed(old: Settings, new: Settings) -> list[str]:
    names = []
    for section in type(new).model_fields:
        before, after = getattr(old, section), getattr(new, section)
        if before == after:
            continue
        fields = getattr(type(after), "model_fields", None)
        if fields is None:
            names.append(section)
        else:
            names += [f"{section}.{key}" for key in fields if getattr(before, key) != getattr(after, key)]
    return names


def _is_live(name: str) -> bool:
    section, _, key = name.partition(".")
    if section not in LIVE:
        return False
    keys = LIVE[section]
    return keys is None or key in keys
