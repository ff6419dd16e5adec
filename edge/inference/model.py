"""Models: a card, ``<folder>/<name>/card.toml``, and the ``.tflite`` that it describes.

The file is beside its card, or in any folder of the search path (directly or in a subfolder named after the
model), so that cards can be distributed without the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import EdgeError, ModelError, NotFoundError
from edge.core.resources import CHECKOUT_MODELS, DATA
from edge.core.settings.vision import ModelSettings
from edge.core.storage import files, layout
from edge.core.storage.files import expanded
from edge.core.suggestions import did_you_mean
from edge.inference.card import CARD, NAME, Card, Decoder, read_card

__all__ = ["Card", "Decoder", "Model", "ModelEntry", "available", "find", "find_file", "folders", "opened"]


@dataclass(frozen=True)
class Model:
    """A card and its file with a verified digest."""

    card: Card
    path: Path
    sha256: str
    folder: Path | None = None
    """folder of the card and of further files that it names; None: the folder of ``path``"""


@dataclass(frozen=True)
class ModelEntry:
    """An available model: the card may lack its file, or be unreadable."""

    name: str
    folder: Path
    card: Card | None
    path: Path | None
    problem: str = ""


def folders(settings: ModelSettings, state: Path) -> list[Path]:
    """Search path of models, highest priority first."""
    package = DATA / "models"
    own = package if package.is_dir() else CHECKOUT_MODELS
    return [*(expanded(path) for path in settings.path), state / layout.MODELS.name, own]


def find(name: str, folders: Sequence[Path]) -> Model:
    """The model of that name. Raises NotFoundError, or ModelError if its card or file is invalid."""
    folder = _card_folder(name, folders)
    card = read_card(folder / CARD)
    path = find_file(card, folder, folders)
    if path is None:
        raise ModelError(
            f"model {name!r}: its file {card.file} is neither beside {folder / CARD} nor in "
            f"{', '.join(str(f) for f in folders)}",
            card.get or f"copy {card.file} to {folders[-2] if len(folders) > 1 else folders[0]}",
        )
    return opened(card, path, folder)


def opened(card: Card, path: Path, folder: Path | None = None) -> Model:
    """The card of ``folder`` with this file. Raises ModelError if its digest is not the card's."""
    try:
        digest = files.sha256(path)
    except OSError as error:
        raise ModelError(f"model {card.name!r}: {path} cannot be read: {error}", "check its owner and mode") from error
    if card.sha256 and digest != card.sha256:
        raise ModelError(
            f"model {card.name!r}: expected {path} to have sha256 {card.sha256}, got {digest}",
            card.get or "fetch the file again, or correct sha256 in its card",
        )
    return Model(card, path, digest, folder)


def find_file(card: Card, folder: Path, folders: Sequence[Path]) -> Path | None:
    """The card's file: beside the card, or in a folder of the search path."""
    places = [folder, *(place for base in folders for place in (base / card.name, base))]
    return next((place / card.file for place in places if (place / card.file).is_file()), None)


def available(folders: Sequence[Path]) -> list[ModelEntry]:
    """Every card of the search path, by name; of two with the same name the first one is listed, as in ``find``."""
    entries: dict[str, ModelEntry] = {}
    for folder in _card_folders(folders):
        if folder.name not in entries:
            entries[folder.name] = _entry(folder, folders)
    return [entries[name] for name in sorted(entries)]


def _card_folder(name: str, folders: Sequence[Path]) -> Path:
    if re.fullmatch(NAME, name):
        for base in folders:
            if (base / name / CARD).is_file():
                return base / name
    near = did_you_mean(name, {folder.name for folder in _card_folders(folders)})
    raise NotFoundError(f"there is no model {name!r}{near}", "edge models list shows the models")


def _card_folders(folders: Sequence[Path]) -> Iterator[Path]:
    for base in folders:
        if base.is_dir():
            yield from sorted(card.parent for card in base.glob(f"*/{CARD}") if re.fullmatch(NAME, card.parent.name))


def _entry(folder: Path, folders: Sequence[Path]) -> ModelEntry:
    try:
        card = read_card(folder / CARD)
    except EdgeError as error:
        return ModelEntry(folder.name, folder, None, None, error.message)
    path = find_file(card, folder, folders)
    return ModelEntry(folder.name, folder, card, path, "" if path else f"{card.file} is missing")
