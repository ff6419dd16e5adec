"""The embedder that a collection was made with, by the collection's own record.

A default changes from version to version, and embeddings of two embedders cannot be compared. So a label that is left
at the default embedder goes on with the one that made the faces of its collection, as long as that model is there.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from edge.core.errors import EdgeError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import FACE
from edge.core.storage import layout
from edge.core.storage.sqlite import connect_read_only
from edge.core.types import MODEL_DIGITS
from edge.inference import model

log = logging.getLogger(__name__)


def with_recorded_embedders(settings: Settings, state: Path) -> Settings:
    """``settings`` whose labels at the default embedder name the one that made their collection's faces.

    They stay as they are where that is the default, where nothing is enrolled, and where that model is gone: then
    whoever opens the collection raises SpaceError, which says what to do.
    """
    spaces = _spaces(state)
    folders = model.folders(settings.models, state)
    changed = {
        name: section.model_copy(update={"embedder": made})
        for name, section in settings.labels.items()
        if section.embedder == FACE.embedder
        and (space := spaces.get(section.collection))
        and (made := _maker(space, section.embedder, folders)) != section.embedder
    }
    return settings.model_copy(update={"labels": {**settings.labels, **changed}}) if changed else settings


def _spaces(state: Path) -> dict[str, str]:
    """Fingerprint of the embedding space by collection; empty where the store cannot be read: its user tells why."""
    path = state / layout.COLLECTIONS.name
    if not path.exists():
        return {}
    try:
        with closing(connect_read_only(path)) as db:
            rows = db.execute("SELECT name, space FROM collections WHERE space IS NOT NULL").fetchall()
    except sqlite3.Error as error:
        log.debug("%s cannot be read: %s", path, error)
        return {}
    return {str(name): str(space) for name, space in rows}


def _maker(space: str, default: str, folders: Sequence[Path]) -> str:
    """Name of the model whose embeddings are of ``space``: the default where it is, or where none is there."""
    digits = space[:MODEL_DIGITS]
    with suppress(EdgeError):
        if model.find(default, folders).sha256.startswith(digits):
            return default
    for entry in model.available(folders):
        if entry.card is not None and entry.path is not None and entry.card.sha256.startswith(digits):
            return entry.card.name
    return default
