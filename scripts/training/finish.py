"""From trained nets to shipped models: conversion, and the detector's threshold and card."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.imaging import image as pictures
from edge.inference.card import read_card
from edge.inference.detector import Detector
from edge.inference.interpreter import Interpreter
from edge.inference.model import opened
from training import agreement, card, data, export
from training.backgrounds import kept_aside
from training.composites import Composer
from training.graph import STRIDES
from training.torchnet import TorchNet

SAMPLES = 300
PRECISION = 0.97
"""On people kept aside, where faces that have no label count as wrong."""
FALSE_BOXES = 1.0
"""Boxes on a hundred backgrounds kept aside."""
PICTURE_INPUT = {"mean": [127.5] * 3, "std": [127.5] * 3}
Files = Sequence[tuple[Path, data.Picture]]


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
    convert(net, np.stack([scenes.scene(rng).image for _ in range(SAMPLES)]), options, work)
    outputs = Interpreter(options.out / card.FILE).outputs
    tensors = [next(o.name for o in outputs if o.shape[-1] == size) for size in (1, 4, 10)]
    card.write(options.out, _detector_card(tensors, 0.05, made, {}))
    finder = Detector(*loaded(options.out))
    counts = _sweep(finder, kept)
    empty = kept_aside(options.backgrounds)
    wrong = _false_boxes(finder, empty)
    allowed = FALSE_BOXES * len(empty) / 100
    good = [s for s in counts if counts[s].precision >= PRECISION and sum(wrong >= s) <= allowed]
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
        "about": "Faces with five landmarks, int8 throughout; trained on composed scenes and whole pictures.",
        "weak_at": (
            "faces under 16 pixels of its 320 x 240 input, full profiles, masks, the dark; trained on news photographs "
            "of 2002 to 2004, portraits of Japanese politicians and generated portraits with drawn caps, glasses and "
            "masks, few street photographs, hardly any children"
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


def convert(net: TorchNet, samples: NDArray[np.uint8], options: argparse.Namespace, work: Path) -> None:
    """Write an int8 model.tflite to `options.out`; `samples` are (N, H, W, 3) pictures as the net will see them."""
    export.write_export(net, samples, work / "export")
    export.convert(work / "export", options.out / card.FILE, options.convert_python)


def loaded(folder: Path) -> tuple[Any, Interpreter]:
    """The model whose card and file are in a folder, ready to run."""
    model = opened(read_card(folder / "card.toml"), folder / card.FILE)
    return model, Interpreter(model.path)
