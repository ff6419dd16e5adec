"""Mapping of detector labels to Rekognition's labels: names, ancestors, aliases, categories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.resources import DATA

OWN = DATA / "taxonomy.toml"


@dataclass(frozen=True)
class Concept:
    """One label of the taxonomy."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    detected: tuple[str, ...] = ()
    """names that detectors use"""
    parents: tuple[str, ...] = ()
    """parent labels, one level up"""
    aliases: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class Taxonomy:
    """The labels of one file. Raises SettingsError where the file is invalid."""

    def __init__(self, path: Path | None = None) -> None:
        path = path or OWN
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            self._concepts = TypeAdapter(dict[str, Concept]).validate_python(table)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise SettingsError(f"taxonomy {path}: {error}", "correct the file that api.taxonomy names") from error
        self._check(path)
        self._names = {word: name for name, concept in self._concepts.items() for word in concept.detected}
        self._ancestors = {name: self._climb(name) for name in self._concepts}

    def name(self, detected: str) -> str:
        """Rekognition's label for a detector label."""
        return self._names.get(detected, detected.title())

    def ancestors(self, name: str) -> tuple[str, ...]:
        """All ancestors, nearest first."""
        return self._ancestors.get(name, ())

    def concept(self, name: str) -> Concept:
        return self._concepts.get(name, Concept())

    def shape(self, name: str) -> dict[str, Any]:
        """Name, Parents, Aliases and Categories as in DetectLabels."""
        concept = self.concept(name)
        lists = {"Parents": self.ancestors(name), "Aliases": concept.aliases, "Categories": concept.categories}
        return {"Name": name, **{key: [{"Name": one} for one in values] for key, values in lists.items()}}

    def _climb(self, name: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        level = self._concepts[name].parents
        while level:
            found.update(dict.fromkeys(level))
            level = tuple(up for one in level for up in self._concepts[one].parents if up not in found)
        found.pop(name, None)
        return tuple(found)

    def _check(self, path: Path) -> None:
        for name, concept in self._concepts.items():
            missing = [parent for parent in concept.parents if parent not in self._concepts]
            if missing:
                raise SettingsError(
                    f"taxonomy {path}: {name!r} has the parent {missing[0]!r}, which is not in the file",
                    "add it, or remove it from parents",
                )
