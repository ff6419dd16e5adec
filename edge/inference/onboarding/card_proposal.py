"""Proposal of a card for a model without one: derived from its tensors, with questions for the rest."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.core.errors import ModelError
from edge.inference.onboarding.architectures import HALF, Architecture, Normalization, recognized
from edge.inference.validation import CheckReport, TensorReport

USUAL: tuple[Normalization, ...] = ((0.0, 255.0), HALF, (128.0, 128.0), (127.5, 255.0), (127.0, 128.0), (0.0, 1.0))
"""common mean and std of training"""
CLASSIFIER = (1000, 1001)
"""output sizes of ImageNet classifiers"""
MOST_LABELS = 1 << 20
"""maximum bytes of a labels file inside a model"""


@dataclass(frozen=True)
class Hints:
    """User-supplied properties of a model; empty ones are derived or asked for."""

    name: str = ""
    kind: str = ""
    family: str = ""
    labels: tuple[str, ...] = ()
    licence: str = ""
    mean: float | None = None
    std: float | None = None
    fit: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Question:
    """A property that cannot be derived from the file."""

    option: str
    why: str
    choices: tuple[str, ...] = ()


@dataclass
class Proposal:
    """A proposed card, complete if there are no questions."""

    table: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)


def propose(
    path: Path, report: CheckReport, sha256: str, hints: Hints, known_labels: dict[int, tuple[str, ...]]
) -> Proposal:
    """Propose a card for ``path`` from the ``report`` of its validation.

    ``known_labels``: common label sets by number of classes. Raises ModelError unless the input is one picture.
    """
    picture = _picture(path, report)
    width, height = picture.shape[2], picture.shape[1]
    table: dict[str, Any] = {
        "name": hints.name or _name(path),
        "kind": "",
        "file": re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).lstrip("._-") or "model.tflite",
        "sha256": sha256,
        "size": path.stat().st_size,
        "licence": hints.licence or "not stated",
        "about": "",
        "input": {"width": width, "height": height},
    }
    proposal = Proposal(table)
    families = [f for f in recognized(width, height, report.outputs) if hints.family in ("", f.name)]
    if hints.kind in ("", "detector") and families:
        _detector(proposal, families, path, hints, known_labels)
    else:
        _vector(proposal, report, width, height, hints)
    family = families[0] if table["kind"] == "detector" and len(families) == 1 else None
    _normalize(proposal, picture, family, hints)
    if not hints.licence:
        proposal.notes.append("licence: not stated; pass --licence if known")
    return proposal


def _detector(
    proposal: Proposal, families: list[Architecture], path: Path, hints: Hints, known_labels: dict[int, tuple[str, ...]]
) -> None:
    table, family = proposal.table, families[0]
    table["kind"] = "detector"
    if len(families) > 1:
        names = tuple(f.name for f in families)
        proposal.questions.append(Question("--family", "its shapes match several detector families", names))
        return
    proposal.notes.append(f"decoder: {family.decoder}, by the shapes of its outputs")
    labels = (
        hints.labels or _labels_inside(path) or ("face",) * (family.labels == 1) or known_labels.get(family.labels, ())
    )
    if not labels:
        proposal.questions.append(Question("--labels", "its class names are unknown"))
    elif family.labels and len(labels) != family.labels:
        proposal.questions.append(Question("--labels", f"expected {family.labels} labels, got {len(labels)}"))
    elif family.labels > 1 and not hints.labels:
        proposal.notes.append(
            f"labels: {len(labels)}, from {labels[0]!r} to {labels[-1]!r}; pass --labels if they differ"
        )
    table["input"]["fit"] = hints.fit or family.fit
    table["input"]["color"] = family.color
    table["decoder"] = {"name": family.decoder, "tensors": list(family.tensors), "labels": list(labels), **family.extra}
    table["thresholds"] = {"score": family.score if hints.score is None else hints.score, "iou": family.iou}
    table["about"] = f"Detector of the family {family.name}."


def _vector(proposal: Proposal, report: CheckReport, width: int, height: int, hints: Hints) -> None:
    """An embedder or a classifier: the output is one vector."""
    table = proposal.table
    sizes = [int(np.prod(output.shape)) for output in report.outputs]
    if len(sizes) != 1 or sizes[0] != max(report.outputs[0].shape) or sizes[0] < 2:
        shapes = ", ".join(f"{output.name} {list(output.shape)}" for output in report.outputs)
        raise ModelError(
            f"no built-in decoder supports outputs {shapes}",
            "write its card.toml by hand with decoder.name = 'your.module:function'",
        )
    kind = hints.kind or ("classifier" if sizes[0] in CLASSIFIER else "embedder")
    table["kind"] = kind
    table["input"]["fit"] = hints.fit or "stretch"
    table["about"] = f"{kind.capitalize()} of {sizes[0]:,} numbers."
    proposal.notes.append(f"kind: {kind}, as its output is one vector of {sizes[0]:,} numbers")
    if kind == "embedder":
        face = (width, height) == (112, 112)
        table["embedding"] = {"dimensions": sizes[0], "crop": "arcface" if face else "square", "margin": 0.0}
        proposal.notes.append("calibration: generic; scripts/calibrate fits one to this model")


def _normalize(proposal: Proposal, picture: TensorReport, family: Architecture | None, hints: Hints) -> None:
    """Mean and std: from the hints, the quantization of the input, or the published values of the family."""
    chosen: Normalization | None = None
    if hints.mean is not None and hints.std:
        chosen = hints.mean, hints.std
    elif picture.scale:
        chosen = _by_quantization(picture)
        proposal.notes.append(f"input: mean {chosen[0]:g}, std {chosen[1]:g}, by the range of its quantized input")
    elif family and family.normalization:
        chosen = family.normalization
        proposal.notes.append(f"input: mean {chosen[0]:g}, std {chosen[1]:g}, as {family.name} was published")
    if chosen is None:
        proposal.questions.append(Question("--mean and --std", "the normalization of a float input is unknown",
                                           tuple(f"{mean:g} {std:g}" for mean, std in USUAL)))  # fmt: skip
        return
    proposal.table["input"] |= {"mean": [chosen[0]] * 3, "std": [chosen[1]] * 3}


def _by_quantization(picture: TensorReport) -> Normalization:
    """The common normalization with the range nearest to the input's, or the one that matches its range exactly."""
    limits = np.iinfo(picture.dtype)
    low = (limits.min - picture.zero_point) * picture.scale
    high = (limits.max - picture.zero_point) * picture.scale
    span = high - low

    def apart(usual: Normalization) -> float:
        mean, std = usual
        return max(abs(-mean / std - low), abs((255 - mean) / std - high)) / span

    best = min(USUAL, key=apart)
    return best if apart(best) < 0.04 else (round(-low * 255 / span, 3), round(255 / span, 6))


def _picture(path: Path, report: CheckReport) -> TensorReport:
    found = report.inputs[0]
    if len(report.inputs) == 1 and len(found.shape) == 4 and found.shape[0] == 1 and found.shape[3] == 3:
        return found
    raise ModelError(
        f"{path.name}: expected an input of one picture (1, height, width, 3), got {list(found.shape)}",
        "convert the model again with a fixed input and channels last",
    )


def _name(path: Path) -> str:
    name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("._-")[:64]
    return name or "model"


def _labels_inside(path: Path) -> tuple[str, ...]:
    """Labels from TFLite metadata, which is a zip archive appended to the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = next((e for e in archive.infolist() if "label" in e.filename and e.filename.endswith(".txt")), None)
            if entry is None or entry.file_size > MOST_LABELS:
                return ()
            lines = archive.read(entry).decode("utf-8", "replace").splitlines()
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return ()
    return tuple("n/a" if line.strip() in ("", "???") else line.strip() for line in lines)
