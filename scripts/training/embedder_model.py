"""From a trained net to a shipped embedder: conversion, judgment, calibration, card."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge.core.imaging import image as pictures
from edge.core.types import Detection
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from training import card, finish, judging, measures
from training import embedder as embedder_training
from training.crops import Labeled
from training.data import Portrait
from training.torchnet import TorchNet
from training.views import Views

USUAL, STRICT = 1e-4, 1e-6
"""Shares of pairs of people of one group above similarity 80 and 99."""
ENOUGH = 10
"""Pairs above a threshold from which on it is counted."""


def write(
    net: TorchNet,
    labeled: Labeled,
    kept: Sequence[Portrait],
    options: argparse.Namespace,
    work: Path,
    made: dict[str, Any],
) -> None:
    """Convert the embedder, calibrate it on people kept aside, write its card."""
    rng = np.random.default_rng(options.seed)
    rows = np.sort(rng.choice(len(labeled.crops), min(finish.SAMPLES, len(labeled.crops)), replace=False))
    views = Views(torch.device("cpu"), options.seed)(
        torch.from_numpy(np.stack([labeled.crops[row] for row in rows])).permute(0, 3, 1, 2), 0
    )
    finish.convert(net, views.mul(255).round().byte().permute(0, 2, 3, 1).numpy(), options, work)
    card.write(options.out, _embedder_card(made, {}))
    model = Embedder(*finish.loaded(options.out))
    finder = _loaded_detector(options.detector)
    faces, groups, crops = _embed_portraits(kept, model, finder)
    floats = replace(faces, vectors=embedder_training.embed(net, crops))
    people = np.unique(faces.people, return_inverse=True)[1]
    measured: dict[str, Any] = {
        "int8": _pairs(*judging.pair_cosines(faces)),
        "float": _pairs(*judging.pair_cosines(floats)),
        "enrolled": _pairs(*judging.enrolled_cosines(faces)),
        "landmarks": finder.card.name,
        "command": "scripts/train_face_embedder --only convert",
    }
    same = judging.enrolled_cosines(faces)[0]
    alike = measures.among_groups(faces.stills, people, groups)
    for kind, cosines in alike.items():
        measured[f"among_{kind}"] = _rates(same, cosines)
    table = _embedder_card(made, {"people_kept_aside": measured})
    table["calibration"] = calibration(same, alike, finder.card.name)
    card.write(options.out, table)
    print("\n".join(f"{name}: {value}" for name, value in measured.items()))


def _embedder_card(made: dict[str, Any], accuracy: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "embedder",
        "about": (
            "Face embedding, 128 dimensions, int8 throughout; learned from two networks, with what people of one "
            "origin or one kind of picture share taken out."
        ),
        "weak_at": (
            "faces under 32 pixels, profiles, covered faces, children; trained on news photographs of 2002 to 2004, "
            "portraits of Japanese politicians of 150 years and generated portraits: expect more errors on people of "
            "other origins"
        ),
        "input": {"width": 112, "height": 112, "fit": "stretch", **finish.PICTURE_INPUT},
        "embedding": {"dimensions": 128, "crop": "arcface", "margin": 0.1, "mirror": True},
        "thresholds": {"similarity": 80.0},
        "provenance": made,
        "accuracy": accuracy,
    }


def calibration(same: NDArray[np.float32], alike: Mapping[str, NDArray[np.float32]], landmarks: str) -> dict[str, Any]:
    """Points (cosine, similarity) on the worst kind of group: 40 at its middle pair, 80 and 99 by false matches.

    Where there are too few pairs to count a rate, the normal tail through the rates .01 and .001 tells it.
    """
    worst = max(alike, key=lambda kind: tail(alike[kind], USUAL))
    cosines = [float(np.median(alike[worst])), tail(alike[worst], USUAL), tail(alike[worst], STRICT)]
    points = [[-1.0, 0.0]]
    points += [[round(min(c, 0.99), 3), s] for c, s in zip(cosines, (40.0, 80.0, 99.0), strict=True)]
    accepted = [f"{(same > cosine).mean():.3f}" for cosine in cosines[1:]]
    return {
        "points": [*points, [1.0, 100.0]],
        "fitted": (
            f"people kept aside, landmarks from {landmarks}: {len(alike[worst])} pairs of two people of one group, "
            f"{worst}, the worst of {', '.join(alike)}; {len(same)} same pairs. "
            f"80: {USUAL:g} of them and {accepted[0]} of the same pairs are above; 99: {STRICT:g} and {accepted[1]}"
        ),
    }


def tail(cosines: NDArray[np.float32], rate: float) -> float:
    """The cosine that a share `rate` of pairs exceeds, by the normal distribution's tail where they are too few."""
    if rate * len(cosines) >= ENOUGH:
        return measures.threshold_at(cosines, rate)
    known = (1e-2, 1e-3)
    quantile = statistics.NormalDist().inv_cdf
    low, high = (measures.threshold_at(cosines, share) for share in known)
    steps = [quantile(1 - share) for share in (*known, rate)]
    return low + (high - low) * (steps[2] - steps[0]) / (steps[1] - steps[0])


def _loaded_detector(folder: Path) -> Detector:
    return Detector(*finish.loaded(folder))


def portrait_finder(folder: Path) -> Callable[[Path], NDArray[np.float32] | None]:
    """Finds the landmarks (5, 2) of a picture's main face, pixels, with the detector in a folder."""
    finder = _loaded_detector(folder)

    def find(path: Path) -> NDArray[np.float32] | None:
        image = pictures.read(path)
        target = main_face(finder.detect(image))
        if target is None or len(target.landmarks) != 5:
            return None
        return np.array([(p.x * image.width, p.y * image.height) for p in target.landmarks], np.float32)

    return find


def main_face(found: Sequence[Detection]) -> Detection | None:
    """The largest of the faces that are found for sure."""
    return max(found, key=lambda d: d.box.width * d.box.height * d.score, default=None)


def _embed_portraits(
    kept: Sequence[Portrait], model: Embedder, finder: Detector
) -> tuple[judging.Faces, NDArray[np.str_], NDArray[np.uint8]]:
    """Main faces embedded by the package, their groups, and the crops that it cut for them."""
    vectors, stills, crops, people, groups = [], [], [], [], []
    for portrait in kept:
        image = pictures.read(Path(portrait.file))
        found = finder.detect(image)
        target = judging.central(found) if portrait.source == "lfw" else main_face(found)
        if target is not None:
            crops.append(model.crop(image, target))
            vectors.append(model.embed(image, [target])[0].vector)
            stills.append(model.embed(image, [target], still=True)[0].vector)
            people.append(portrait.person)
            groups.append(portrait.group)
    rows = np.ones(len(people), bool)
    known = judging.Faces(np.array(people), np.stack(vectors), np.stack(stills), rows)
    return known, np.array(groups), np.stack(crops)


def _rates(same: NDArray[np.float32], cosines: NDArray[np.float32]) -> str:
    counted = [far for far in embedder_training.RATES if far * len(cosines) >= 1]
    rates = [f"TAR@FMR {far:g} {measures.tar_at(same, cosines, far):.4f}" for far in counted]
    return f"{', '.join(rates)} ({len(cosines)} pairs of people of one group)"


def _pairs(same: NDArray[np.float32], different: NDArray[np.float32]) -> str:
    accuracy, _ = measures.fold_accuracy(same, different)
    rates = [f"TAR@FAR {far:g} {measures.tar_at(same, different, far):.4f}" for far in (0.01, 0.001)]
    return f"pairs {accuracy:.4f}, AUC {measures.area(same, different):.4f}, {', '.join(rates)}"
