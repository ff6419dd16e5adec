"""Files of a label version: the head, a card with metadata and metrics, the list of examples, the training rows."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.core.compat import tomllib
from edge.core.errors import StoreError
from edge.core.imaging import drawing
from edge.core.settings import template as config_file
from edge.core.storage import files
from edge.labels.evaluation import Evaluation, picture
from edge.labels.examples import Example
from edge.labels.head import Head
from edge.labels.training_rows import StoredRows

if TYPE_CHECKING:
    from edge.core.types import ByteArray

HEAD, CARD, EVALUATION, CONFUSION, EXAMPLES, ROWS = (
    "head.npz", "card.toml", "evaluation.json", "confusion.png", "examples.jsonl", "rows.npz",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """Result of a training, to be stored."""

    head: Head
    evaluation: Evaluation
    base: str
    """name of the embedder"""
    space: str
    """fingerprint of its space"""
    detectors: tuple[str, ...]
    """detectors whose regions are classified; empty: whole pictures are classified"""
    learned: Sequence[Example]
    tested: Sequence[Example]
    regions: tuple[str, ...] = ()
    """detector labels of the regions that show a custom label"""
    taught: StoredRows | None = None
    """rows for incremental training"""
    confirmed: int = 0
    """number of reviewers' answers in the training"""


@dataclass(frozen=True, slots=True)
class Version:
    """A version as described by its card."""

    name: str
    number: int
    base: str
    space: str
    detectors: tuple[str, ...]
    regions: tuple[str, ...]
    labels: tuple[str, ...]
    learned: int
    tested: int
    confirmed: int
    """number of reviewers' answers in the training"""
    f1: float
    created: float
    """seconds since the epoch"""
    sha256: str
    """of the head"""
    folder: Path
    current: bool


def read(folder: Path, name: str, number: int, current: bool) -> Version:
    """Read a version from the card in its folder. Raises StoreError."""
    try:
        card = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
        return Version(
            name=name,
            number=number,
            base=card["base"],
            space=card["space"],
            detectors=tuple(card["detectors"]),
            regions=tuple(card.get("regions", ())),
            labels=tuple(card["labels"]),
            learned=card["learned"],
            tested=card["tested"],
            confirmed=card.get("confirmed", 0),
            f1=card["f1"],
            created=card["created"],
            sha256=card["sha256"],
            folder=folder,
            current=current,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder / CARD, str(error)) from error


def write(folder: Path, name: str, made: Made) -> None:
    """Write all files of a version to a new folder. Raises OSError."""
    head = made.head
    packed = io.BytesIO()
    np.savez(
        packed, weights=head.weights, bias=head.bias, thresholds=head.thresholds, exclusive=np.array(head.exclusive)
    )
    files.write_bytes(folder / HEAD, packed.getvalue())
    card: dict[str, Any] = {
        "name": name,
        "kind": "labels",
        "base": made.base,
        "space": made.space,
        "detectors": list(made.detectors),
        "regions": list(made.regions),
        "labels": list(head.labels),
        "thresholds": [round(float(value), 4) for value in head.thresholds],
        "learned": len(made.learned),
        "tested": len(made.tested),
        "confirmed": made.confirmed,
        "precision": made.evaluation.precision,
        "recall": made.evaluation.recall,
        "f1": made.evaluation.f1,
        "created": round(time.time(), 3),
        "sha256": files.sha256(folder / HEAD),
    }
    files.write_bytes(folder / CARD, config_file.written(card).encode())
    files.write_bytes(folder / EVALUATION, json.dumps(made.evaluation.document, indent=1).encode())
    image: ByteArray = picture(made.evaluation)
    files.write_bytes(folder / CONFUSION, drawing.saved_as(".png", image))
    lines = [_example(one, "train") for one in made.learned] + [_example(one, "test") for one in made.tested]
    files.write_bytes(folder / EXAMPLES, "".join(lines).encode())
    if made.taught is not None and made.taught.small:
        files.write_bytes(folder / ROWS, made.taught.packed())


def _example(example: Example, part: str) -> str:
    # in ASCII: a file name may contain bytes that are not UTF-8, and line separators
    return json.dumps({"part": part, "picture": str(example.path), "labels": sorted(example.labels)}) + "\n"


def damaged(path: Path, reason: str) -> StoreError:
    """The error for an unusable file."""
    return StoreError(f"{path}: cannot be used: {reason[:200]}", "train it again, or use another version")
