"""From trained nets to shipped models: conversion, thresholds, calibration, cards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.imaging import image as pictures
from edge.core.types import Box, Detection, Point
from edge.inference.card import read_card
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.interpreter import Interpreter
from edge.inference.model import opened
from training import agreement, card, data, export, judging, measures, teacher
from training import embedder as embedder_training
from training.backgrounds import kept_aside
from training.composites import Composer
from training.graph import STRIDES
from training.torchnet import TorchNet

SAMPLES = 300
USUAL, STRICT = 1e-3, 1e-5
"""Shares of different pairs above similarity 80 and 99."""
PRECISION = 0.97
"""On people kept aside, where faces that have no label count as wrong."""
PICTURE_INPUT = {"mean": [127.5] * 3, "std": [127.5] * 3}
Files = Sequence[tuple[Path, data.Picture]]


def embedder(
    net: TorchNet,
    labeled: teacher.Labeled,
    kept: Files,
    options: argparse.Namespace,
    work: Path,
    made: dict[str, Any],
) -> None:
    """Convert the embedder, calibrate it on people kept aside, write its card."""
    rng = np.random.default_rng(options.seed)
    rows = np.sort(rng.choice(len(labeled.crops), min(SAMPLES, len(labeled.crops)), replace=False))
    samples = [embedder_training.student_view(labeled.crops[row], rng) for row in rows]
    _convert(net, np.stack(samples), options, work)
    table = _embedder_card(made, {})
    card.write(options.out, table)
    model = Embedder(*_loaded(options.out))
    finder = _detector_beside(options.out)
    faces, crops = _embed_labeled(kept, model, finder)
    floats = replace(faces, vectors=embedder_training.embed(net, crops))
    landmarks = finder.card.name if finder else "faces.csv"
    measured = {
        "int8": _pairs(*judging.pair_cosines(faces)),
        "float": _pairs(*judging.pair_cosines(floats)),
        "enrolled": _pairs(*judging.enrolled_cosines(faces)),
        "landmarks": landmarks,
        "command": f"scripts/train_face_embedder --data {options.data.name} --resume",
    }
    table = _embedder_card(made, {"people_kept_aside": measured})
    table["calibration"] = calibration(*judging.enrolled_cosines(faces), options.data.name, landmarks)
    card.write(options.out, table)
    print(f"int8: {measured['int8']}\nfloat: {measured['float']}")


def _embedder_card(made: dict[str, Any], accuracy: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "embedder",
        "about": "Face embedding, 128 dimensions, int8 throughout; distilled on generated faces.",
        "weak_at": (
            "faces under 32 pixels, profiles, the dark, masks; trained on news photographs of 2002 to 2004, "
            "mostly of men, mostly light-skinned, hardly any children: expect more errors on everybody else"
        ),
        "input": {"width": 112, "height": 112, "fit": "stretch", **PICTURE_INPUT},
        "embedding": {"dimensions": 128, "crop": "arcface", "margin": 0.1, "mirror": True},
        "thresholds": {"similarity": 80.0},
        "provenance": made,
        "accuracy": accuracy,
    }


def calibration(same: NDArray[np.float32], different: NDArray[np.float32], name: str, landmarks: str) -> dict[str, Any]:
    """Points (cosine, similarity): 40 at the middle different pair, 80 and 99 by false accepts."""
    cosines = [float(np.median(different))]
    cosines += [measures.threshold_at(different, far) for far in (USUAL, STRICT)]
    points = [[-1.0, 0.0]]
    points += [[round(c, 3), s] for c, s in zip(cosines, (40.0, 80.0, 99.0), strict=True)]
    accepted = [f"{(same > cosine).mean():.3f}" for cosine in cosines[1:]]
    return {
        "points": [*points, [1.0, 100.0]],
        "fitted": (
            f"{name}, people kept aside, landmarks from {landmarks}, enrolled faces against faces in a frame: "
            f"{len(different)} different and {len(same)} same pairs. "
            f"80: {USUAL:g} of the different and {accepted[0]} of the same pairs are above; "
            f"99: {STRICT:g} and {accepted[1]}. 40: the middle different pair"
        ),
    }


def detector(
    net: TorchNet,
    scenes: Composer,
    kept: Files,
    options: argparse.Namespace,
    work: Path,
    made: dict[str, Any],
) -> None:
    """Convert the detector, choose its threshold on people kept aside, write its card."""
    rng = np.random.default_rng((options.seed, 2))
    _convert(net, np.stack([scenes.scene(rng).image for _ in range(SAMPLES)]), options, work)
    outputs = Interpreter(options.out / card.FILE).outputs
    tensors = [next(o.name for o in outputs if o.shape[-1] == size) for size in (1, 4, 10)]
    card.write(options.out, _detector_card(tensors, 0.05, made, {}))
    finder = Detector(*_loaded(options.out))
    counts = _sweep(finder, kept)
    # No false box on 200 pictures: 19 times in 20, fewer than 1.5 on a hundred others of their kind.
    empty = kept_aside(options.backgrounds)
    wrong = _false_boxes(finder, empty)
    good = [s for s in counts if counts[s].precision >= PRECISION and not any(wrong >= s)]
    best = min(good, default=max(counts, key=lambda score: counts[score].precision))
    chosen = counts[best]
    measured = {
        "recall": round(chosen.recall, 4),
        "precision": round(chosen.precision, 4),
        "landmarks": round(float(np.median(chosen.landmarks)), 4),
        "truth": "faces.csv, boxes that overlap by half or more",
        "command": f"scripts/evaluate_faces --labeled {options.data.name}",
        "false_boxes": f"{sum(wrong >= best)} on {len(empty)} backgrounds kept aside, which set the threshold",
    }
    table = _detector_card(tensors, best, made, {"people_kept_aside": measured})
    card.write(options.out, table)
    for score, count in counts.items():
        false = f"{sum(wrong >= score)} false boxes on {len(empty)} backgrounds"
        print(f"at {score:g}: recall {count.recall:.4f}, precision {count.precision:.4f}, {false}")
    print(f"chosen: {best:g} {measured}")


def _detector_card(tensors: list[str], score: float, made: dict[str, Any], accuracy: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "detector",
        "about": "Faces with five landmarks, int8 throughout; trained on composed scenes.",
        "weak_at": (
            "faces under 16 pixels of its 320 x 240 input, profiles, masks, the dark, faces turned by more than "
            "30 degrees; trained on news photographs of 2002 to 2004, mostly of men, mostly light-skinned, hardly "
            "any children"
        ),
        "input": {"width": 320, "height": 240, "fit": "letterbox", "pad": 114, **PICTURE_INPUT},
        "decoder": {
            "name": "anchor_free_faces",
            "tensors": tensors,
            "labels": ["face"],
            "options": {"strides": list(STRIDES)},
        },
        "thresholds": {"score": score, "iou": 0.4},
        "provenance": made,
        "accuracy": accuracy,
    }


def _sweep(finder: Detector, kept: Files) -> dict[float, agreement.Counts]:
    """Agreement with the labels by threshold."""
    steps = [round(0.02 * step, 2) for step in range(10, 41)]
    counts = {score: agreement.Counts() for score in steps}
    for path, picture in kept:
        image = pictures.read(path)
        size = np.array([image.width, image.height], np.float32)
        truth = [(face.box / np.tile(size, 2), face.points / size) for face in picture.faces]
        found = finder.detect(image)
        for score in steps:
            agreement.compare([d for d in found if d.score >= score], truth, counts[score])
    return counts


def _false_boxes(finder: Detector, files: Sequence[Path]) -> NDArray[np.float32]:
    """Scores of the boxes on pictures without faces."""
    return np.array([found.score for file in files for found in finder.detect(pictures.read(file))], np.float32)


def _convert(net: TorchNet, samples: NDArray[np.uint8], options: argparse.Namespace, work: Path) -> None:
    export.write_export(net, samples, work / "export")
    export.convert(work / "export", options.out / card.FILE, options.convert_python)


def _loaded(folder: Path) -> tuple[Any, Interpreter]:
    model = opened(read_card(folder / "card.toml"), folder / card.FILE)
    return model, Interpreter(model.path)


def _detector_beside(folder: Path) -> Detector | None:
    """Our detector, where it lies beside the embedder's folder."""
    beside = folder.parent / "edge-face-detector-1"
    return Detector(*_loaded(beside)) if (beside / "card.toml").exists() else None


def _embed_labeled(kept: Files, model: Embedder, finder: Detector | None) -> tuple[judging.Faces, NDArray[np.uint8]]:
    """Central faces embedded by the package, and the crops that it cut for them."""
    vectors, stills, crops, people = [], [], [], []
    for path, picture in kept:
        image = pictures.read(path)
        target = judging.central(finder.detect(image)) if finder else _as_detection(picture, image.width, image.height)
        if target is not None:
            crops.append(model.crop(image, target))
            vectors.append(model.embed(image, [target])[0].vector)
            stills.append(model.embed(image, [target], still=True)[0].vector)
            people.append(picture.person)
    rows = np.ones(len(people), bool)
    return judging.Faces(np.array(people), np.stack(vectors), np.stack(stills), rows), np.stack(crops)


def _as_detection(picture: data.Picture, width: int, height: int) -> Detection:
    face = data.central_face(picture, (width, height))
    box = (face.box / (width, height, width, height)).tolist()
    points = tuple(Point(float(x) / width, float(y) / height) for x, y in face.points)
    return Detection("face", 1.0, Box(*box), points)


def _pairs(same: NDArray[np.float32], different: NDArray[np.float32]) -> str:
    accuracy, _ = measures.fold_accuracy(same, different)
    rates = [f"TAR@FAR {far:g} {measures.tar_at(same, different, far):.4f}" for far in (0.01, 0.001)]
    return f"pairs {accuracy:.4f}, AUC {measures.area(same, different):.4f}, {', '.join(rates)}"
