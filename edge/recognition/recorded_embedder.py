"""Recorded embedder: the embedder that made a collection's faces, by the embedding space stored with it.

The default embedder may change between versions, and embeddings of two embedders cannot be compared. So a label with
the default embedder keeps using the one that made the faces of its collection, if that model is available.
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
    """``settings`` in which labels with the default embedder name the one that made their collection's faces.

    A label is unchanged if that is the default, if the collection is empty, or if that model is missing: then
    opening the collection raises SpaceError with a hint.
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
    """Fingerprint of the embedding space by collection; empty if the store cannot be read (reported on opening)."""
    path = state / layout.COLLECTIONS.name
    try:
        if not path.exists():
            return {}
        with closing(connect_read_only(path)) as db:
            rows = db.execute("SELECT name, space FROM collections WHERE space IS NOT NULL").fetchall()
    except (sqlite3.Error, OSError) as error:
        log.debug("%s cannot be read: %s", path, error)
        return {}
    return {str(name): str(space) for name, space in rows}


def _maker(space: str, default: str, folders: Sequence[Path]) -> str:
    """Name of the model with embeddings of ``space``; the default if it is that model, or if no model matches."""
    digits = space[:MODEL_DIGITS]
    with suppress(EdgeError):
        if model.find(default, folders).sha256.startswith(digits):
            return default
    for entry in model.available(folders):
        if entry.card is not None and entry.path is not None and entry.card.sha256.startswith(digits):
            return entry.card.name
    return default
