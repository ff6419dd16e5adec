"""Conversion of the text detector and recognizer to int8, their accuracy on fonts kept aside, and their cards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.types import Box, Picture
from edge.inference.detector import Detector
from edge.inference.interpreter import Interpreter
from edge.inference.text_recognizer import TextRecognizer, consistent
from training import card, finish, loop, text_detector, text_recognizer, text_scenes
from training.attributes import platt
from training.text_rendering import ALPHABET, HEIGHT, WIDTH, Rng, TextSource, drawn, fitted, photographed

RECOGNIZER, DETECTOR = "edge-text-recognizer-1", "edge-text-detector-1"
SAMPLES = 300
"""Words, and a fifth of it scenes, that the int8 ranges are taken from."""
SCENES = 80
WORDS = 1000
"""Words kept aside per height."""
HEIGHTS = (12, 16, 24, 32)
FLOOR_HEIGHT = 16
OVERLAP = 0.5
"""Intersection over union from which a word counts as detected."""
MARGIN = 0.13
"""Around a word, fraction of its height, as in the rendered crops on average."""
THRESHOLDS = tuple(round(0.4 + 0.04 * step, 2) for step in range(12))
LOWEST = 0.3
RECOGNIZER_LIMITS = (
    "letters that look alike without context (0 and O, l, I and 1), handwriting, lines that climb by more than 45 "
    "degrees, words under 12 pixels of height, letters beyond ASCII, painted and ornamental lettering of shop signs"
)
DETECTOR_LIMITS = (
    "words under 10 pixels of its 640 x 480 input, words closer to each other than a third of their height, vertical "
    "text, curved text; patterns like fences and windows may be taken for text"
)


def write_recognizer(source: TextSource, kept: TextSource, work: Path, options: argparse.Namespace) -> None:
    """Convert and measure the recognizer; `source`: of the training, `kept`: fonts, words and pictures kept aside."""
    net, state = loop.averaged(work, text_recognizer.shape())
    options.out = options.models / RECOGNIZER
    samples = text_recognizer.render(source, SAMPLES, options.seed)
    finish.convert(net, text_recognizer.transposed(samples.images), options, work)
    _write_recognizer(kept, options, _provenance(options, options.recognizer_start, source, kept, state))


def write_detector(source: TextSource, kept: TextSource, work: Path, options: argparse.Namespace) -> None:
    """Convert the detector and measure it with the recognizer, which must be there."""
    net, state = loop.averaged(work, text_detector.shape())
    options.out = options.models / DETECTOR
    rng = np.random.default_rng((options.seed, 12))
    size = (text_detector.HEIGHT, text_detector.WIDTH)
    scenes = np.stack([text_scenes.scene(source, size, rng)[0] for _ in range(SAMPLES // 5)])
    finish.convert(net, scenes, options, work)
    _write_detector(kept, options, _provenance(options, options.start, source, kept, state))


def _write_recognizer(kept: TextSource, options: argparse.Namespace, made: dict[str, Any]) -> None:
    """Measure words kept aside by height, calibrate the confidence, write the card."""
    table = _recognizer_card(made)
    card.write(options.out, table)
    runner = Interpreter(options.out / card.FILE)
    figures: dict[str, Any] = {}
    odds: list[float] = []
    truth: list[bool] = []
    for height in HEIGHTS:
        right = []
        for text, logits in _recognized(kept, runner, height, np.random.default_rng((options.seed, height))):
            right.append(consistent(text_recognizer.decoded(logits)) == text)
            odds.append(best_path(logits))
        truth += right
        figures[f"exact_at_{height}_pixels"] = f"{np.mean(right):.4f} of {len(right)}"
    gain, shift = _fitted(np.array(odds), np.array(truth))
    table["text"]["calibration"] = [round(gain, 4), round(shift, 4)]
    figures["data"] = "words, numbers, plates, prices and dates in fonts, words and on pictures kept aside"
    figures["command"] = "scripts/train_text --only convert"
    table["accuracy"] = {"rendered_words_kept_aside": figures}
    card.write(options.out, table)
    print(figures)


def _recognized(kept: TextSource, runner: Interpreter, height: int, rng: Rng) -> list[tuple[str, NDArray[np.float32]]]:
    """Texts and logits of words of that height."""
    rows: list[tuple[str, NDArray[np.float32]]] = []
    while len(rows) < WORDS:
        text = kept.text(rng, arbitrary=0.0)
        ink = drawn(text, kept.font(rng), rng)
        if ink is not None:
            image = fitted(photographed(kept, ink.cover, rng, height))
            runner.invoke(text_recognizer.transposed(image[None]))
            rows.append((text, np.array(runner.values(0)).reshape(-1, text_recognizer.CLASSES)))
    return rows


def best_path(logits: NDArray[np.float32]) -> float:
    """Logit of the best path's probability, as `edge.inference.text_recognizer` has it."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    share = float(np.clip(np.exp(-np.log(np.exp(shifted).sum(axis=1)).sum()), 1e-9, 1 - 1e-6))
    return float(np.log(share / (1 - share)))


def _fitted(odds: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Platt's a and b with right and wrong as frequent as they are."""
    gain, shift = platt(odds, truth)
    return gain, shift + float(np.log(truth.mean() / (1 - truth.mean())))


@dataclass(frozen=True)
class JudgedScene:
    """What the detector and the recognizer answered to a scene."""

    words: Sequence[tuple[float, float, bool]]
    """Height, score of the detection (0: none), and whether the text is right, of each word of the scene."""
    false: Sequence[float]
    """Scores of detections of no word."""


def _write_detector(kept: TextSource, options: argparse.Namespace, made: dict[str, Any]) -> None:
    """Choose the threshold with the best F1 on scenes kept aside, write the card."""
    card.write(options.out, _detector_card(LOWEST, made, {}))
    detector = Detector(*finish.loaded(options.out))
    recognizer = TextRecognizer(*finish.loaded(options.models / RECOGNIZER))
    rng = np.random.default_rng((options.seed, 13))
    size = (text_detector.HEIGHT, text_detector.WIDTH)
    scenes = [judged(detector, recognizer, *text_scenes.scene(kept, size, rng)) for _ in range(SCENES)]
    best = max(THRESHOLDS, key=lambda score: _f1(scenes, score))
    figures = {**_figures(scenes, best), "command": "scripts/train_text --only convert"}
    card.write(options.out, _detector_card(best, made, {"rendered_scenes_kept_aside": figures}))
    print(best, figures)


def judged(
    detector: Detector, recognizer: TextRecognizer, image: NDArray[np.uint8], words: Sequence[text_scenes.Word]
) -> JudgedScene:
    """Compare the answers to a scene with its words; words that the border cuts are left out."""
    height, width = image.shape[:2]
    picture = Picture(image, "rgb", width, height)
    found = detector.detect(picture, {"text": LOWEST})
    free = list(range(len(found)))
    rows = []
    for word in words:
        low, high = word.corners.min(axis=0) / (width, height), word.corners.max(axis=0) / (width, height)
        box = Box(*low.tolist(), *high.tolist())
        if min(low) < 0 or max(high) > 1 or word.height < text_scenes.SMALLEST:
            free = [number for number in free if found[number].box.iou(box.clipped()) < 0.1]
            continue
        best = max(free, key=lambda number: found[number].box.iou(box), default=None)
        if best is None or found[best].box.iou(box) < OVERLAP:
            rows.append((word.height, 0.0, False))
            continue
        free.remove(best)
        read = recognizer.recognize(picture, found[best].landmarks).text
        rows.append((word.height, found[best].score, read == word.text))
    return JudgedScene(rows, [found[number].score for number in free])


def _f1(scenes: Sequence[JudgedScene], score: float) -> float:
    found = sum(row[1] >= score for scene in scenes for row in scene.words)
    words = sum(len(scene.words) for scene in scenes)
    false = sum(one >= score for scene in scenes for one in scene.false)
    return 2 * found / max(words + found + false, 1)


def _figures(scenes: Sequence[JudgedScene], score: float) -> dict[str, str]:
    rows = [row for scene in scenes for row in scene.words]
    false = sum(one >= score for scene in scenes for one in scene.false)
    found = [row for row in rows if row[1] >= score]
    figures = {"found": f"{len(found)} of {len(rows)} words, {false} boxes on no word in {len(scenes)} scenes"}
    for least, most in ((7, 12), (12, 20), (20, 40), (40, 200)):
        mine = [row for row in rows if least <= row[0] < most]
        there = [row for row in mine if row[1] >= score]
        if mine:
            read = sum(row[2] for row in there)
            figures[f"height_{least}_to_{most}"] = f"{len(there)} of {len(mine)} found, {read} found and read exactly"
    return figures


def _provenance(
    options: argparse.Namespace, start: Path | None, source: TextSource, kept: TextSource, state: loop.State
) -> dict[str, Any]:
    """`start`: checkpoint that the training began with."""
    is_detector = options.out.name == DETECTOR
    return {
        "data": "words of Debian's wamerican, numbers, plates and prices, rendered in fonts of Debian's packages on "
        "free pictures (scripts/train_backgrounds)",
        "fonts": f"{len(source.families)} families, {len(kept.families)} others kept aside",
        "seed": options.seed,
        "steps": state.step,
        "batch": text_detector.BATCH if is_detector else text_recognizer.BATCH,
        "minutes": round(state.seconds / 60, 1),
        **({"begun_from": f"{start.name} of {loop.steps(start)} steps"} if start else {}),
        "commit": card.commit(),
    }


def _recognizer_card(made: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "recognizer",
        "about": "Text of a word: 94 characters, int8 throughout; trained on rendered words only.",
        "weak_at": RECOGNIZER_LIMITS,
        "input": {"width": HEIGHT, "height": WIDTH, "fit": "stretch", **finish.PICTURE_INPUT},
        "text": {"characters": ALPHABET, "calibration": [1.0, 0.0], "margin": MARGIN},
        "provenance": made,
    }


def _detector_card(score: float, made: dict[str, Any], accuracy: dict[str, Any]) -> dict[str, Any]:
    size = {"width": text_detector.WIDTH, "height": text_detector.HEIGHT, "fit": "letterbox", "pad": 114}
    regions = {"stride": text_scenes.STRIDE, "shrink": text_scenes.SHRINK}
    return {
        "kind": "detector",
        "about": "Words with their corners, int8 throughout; trained on rendered scenes only.",
        "weak_at": DETECTOR_LIMITS,
        "input": {**size, **finish.PICTURE_INPUT},
        "decoder": {"name": "text_regions", "tensors": ["#0"], "labels": ["text"], "options": regions},
        "thresholds": {"score": score, "iou": 0.5},
        "provenance": made,
        "accuracy": accuracy,
    }
