"""Model onboarding: a card is proposed, the file is validated, tested on a picture and installed atomically.

An installed model is ``<state>/models/<name>/`` with the file and its card. The card is written last: a folder
without a card is not a model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, ModelError, StoreError
from edge.core.imaging.drawing import drawn
from edge.core.imaging.image import to_rgb
from edge.core.settings.vision import ModelSettings
from edge.core.storage import files, layout
from edge.core.types import Box, Detection, Picture
from edge.inference import validation as check
from edge.inference.card import CARD, Card, dumps, parse_card, to_table
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.load import interpreter
from edge.inference.model import Model, available, opened
from edge.inference.onboarding import card_proposal as propose
from edge.inference.onboarding.card_proposal import Hints, Proposal

if TYPE_CHECKING:
    from edge.core.types import ByteArray

LABELS = {80: "yolov8n-224", 90: "ssd-mobilenet-v1-coco"}
"""number of classes -> the model whose card has their common names"""


@dataclass(frozen=True)
class Tried:
    """A validated file with its known or proposed card."""

    path: Path
    report: check.CheckReport
    proposal: Proposal
    known: Card | None
    """an existing card with the digest of this file, if there is one"""

    @property
    def card(self) -> Card:
        """The known card, or the proposed one. Raises ModelError if there are open questions."""
        if self.known:
            return self.known
        if self.proposal.questions:
            asked = "; ".join(f"{q.option}: {q.why}" for q in self.proposal.questions)
            raise ModelError(f"{self.path.name}: {asked}", _answers(self.proposal))
        return parse_card(self.proposal.table, f"proposed for {self.path.name}")


def tried(path: Path, settings: ModelSettings, folders: Sequence[Path], hints: Hints) -> Tried:
    """Validate a file in a child process and propose a card for it. Raises ModelError."""
    if not files.is_file(path):
        raise ModelError(f"{path}: there is no such file", "check the path")
    report = check.check_file(path, settings)
    digest = files.sha256(path)
    cards = [entry.card for entry in available(folders) if entry.card]
    known = next((card for card in cards if card.sha256 == digest), None)
    if known:
        named = replace(known, name=hints.name or known.name)
        return Tried(path, report, Proposal(to_table(named)), parse_card(to_table(named), "the known card"))
    labels = {number: usual_labels(number, folders) for number in LABELS}
    return Tried(path, report, propose.propose(path, report, digest, hints, labels), None)


def shown(model: Model, settings: ModelSettings, picture: Picture) -> tuple[ByteArray, list[Detection]]:
    """Result of a model on a picture: the picture with boxes drawn, or the crop of an embedder. Raises ModelError.

    The model must have been validated: this runs in the calling process.
    """
    runs = interpreter(model.path, settings)
    if model.card.kind == "detector":
        found = Detector(model, runs).detect(picture)
        return drawn(to_rgb(picture), found), found
    if model.card.kind == "embedder":
        whole = Detection("picture", 1.0, Box(0.0, 0.0, 1.0, 1.0))
        return Embedder(model, runs).crop(picture, whole), [whole]
    return to_rgb(picture), []


def install(path: Path, card: Card, state: Path, overwrite: bool = False) -> Model:
    """Copy a model and then its card into the state folder.

    Raises ConflictError if the name is taken, StoreError if it cannot be written.
    """
    folder = free(card.name, state, overwrite)
    target = folder / _free_name(folder, card)
    card = replace(card, file=target.name)
    try:
        _copy(path, target)
        try:
            model = opened(card, target)
            files.write_bytes(folder / CARD, dumps(to_table(card)).encode(), mode=0o644)
        except (OSError, ModelError):
            target.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"model {card.name!r} cannot be written to {folder}: {error}", "free some space on the disk"
        ) from error
    _tidy(folder, target.name)
    return model


def free(name: str, state: Path, overwrite: bool) -> Path:
    """The folder of a model to install. Raises ConflictError if the name is taken."""
    folder = state / layout.MODELS.name / name
    if (folder / CARD).exists() and not overwrite:
        raise ConflictError(
            f"model {name!r} is installed already in {folder}", "choose another --name, or --replace it"
        )
    return folder


def usual_labels(number: int, folders: Sequence[Path]) -> tuple[str, ...]:
    """The common names of that many classes; empty if unknown."""
    wanted = LABELS.get(number)
    return next((entry.card.labels for entry in available(folders) if entry.card and entry.name == wanted), ())


def _free_name(folder: Path, card: Card) -> str:
    """The card's file name, or another one if the replaced model uses it: its card describes the old file."""
    if not (folder / card.file).exists():
        return card.file
    return f"{Path(card.file).stem[:100]}-{os.urandom(4).hex()}.tflite"


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, files.replacing(target, mode=0o644) as writer:
        while chunk := reader.read(files.CHUNK):
            writer.write(chunk)


def _tidy(folder: Path, kept: str) -> None:
    """Remove the files of the replaced model."""
    for old in folder.glob("*.tflite"):
        if old.name != kept:
            old.unlink(missing_ok=True)


def _answers(proposal: Proposal) -> str:
    wanted = " and ".join(
        f"{q.option} ({' or '.join(q.choices)})" if q.choices else q.option for q in proposal.questions
    )
    return f"pass {wanted}"
