"""Evaluation of a head on test pictures: F1, precision, recall, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.labels.examples import Example
from edge.labels.head import Head

if TYPE_CHECKING:
    from edge.core.types import ByteArray, FloatArray

NONE = "(none)"
"""row and column of the confusion matrix: no label"""
SEED = 7


@dataclass(frozen=True, slots=True)
class LabelMetrics:
    """Metrics of one label on the test pictures. A ratio with denominator 0 is 0."""

    label: str
    examples: int
    threshold: float
    precision: float
    recall: float
    f1: float
    reach: float = 1.0
    """share of the examples that a detector finds: the upper limit of recall"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of all labels, and the confusion matrix."""

    labels: tuple[LabelMetrics, ...]
    examples: int
    precision: float
    """mean over the labels that have examples, as are precision and recall"""
    recall: float
    f1: float
    confusion: tuple[tuple[str, str, float], ...]
    """(true label, predicted label, share of the true label's), rows and columns in the order of the labels"""
    reach: float = 1.0

    @property
    def document(self) -> dict[str, Any]:
        return asdict(self)


def split(examples: Sequence[Example], share: float = 0.2) -> tuple[list[Example], list[Example]]:
    """(training, test) examples: about ``share`` of each label's pictures for the test, at least one of two."""
    random = np.random.default_rng(SEED)
    groups: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda one: str(one.path)):
        groups.setdefault(min(example.labels, default=""), []).append(example)
    learn: list[Example] = []
    test: list[Example] = []
    for group in groups.values():
        order = random.permutation(len(group))
        count = min(len(group) - 1, max(1, round(share * len(group))))
        test += [group[i] for i in order[:count]]
        learn += [group[i] for i in order[count:]]
    return learn, test


def examine(head: Head, vectors: FloatArray, truth: NDArray[np.bool_]) -> Evaluation:
    """Evaluate a head on (m, dimensions) test rows; rows of ``truth`` beyond m are examples that no detector found."""
    missed = len(truth) - len(vectors)
    answers = np.vstack([head.answers(vectors), np.zeros((missed, len(head.labels)), np.float32)])
    return evaluate(head.labels, head.thresholds, answers, truth, missed)


def evaluate(
    labels: Sequence[str],
    thresholds: FloatArray,
    probabilities: FloatArray,
    truth: NDArray[np.bool_],
    missed: int = 0,
) -> Evaluation:
    """Compare (n, labels) probabilities with (n, labels) truth; a row without truth is a negative example.

    The last ``missed`` rows are examples that no detector found.
    """
    said = probabilities >= thresholds
    right, found, there = (said & truth).sum(axis=0), said.sum(axis=0), truth.sum(axis=0)
    proposed = truth[: len(truth) - missed].sum(axis=0)
    results = []
    for i, label in enumerate(labels):
        precision, recall = _share(right[i], found[i]), _share(right[i], there[i])
        f1 = _share(2 * right[i], found[i] + there[i])
        reach = _share(proposed[i], there[i]) if there[i] else 1.0
        results.append(LabelMetrics(label, int(there[i]), round(float(thresholds[i]), 4), precision, recall, f1, reach))
    tested = [one for one in results if one.examples] or results

    def mean(values: Sequence[float]) -> float:
        return round(sum(values) / max(1, len(values)), 4)

    return Evaluation(
        labels=tuple(results),
        examples=len(truth),
        precision=mean([one.precision for one in tested]),
        recall=mean([one.recall for one in tested]),
        f1=mean([one.f1 for one in tested]),
        reach=mean([one.reach for one in tested]),
        confusion=_confusion(labels, said, probabilities, truth),
    )


def picture(evaluation: Evaluation) -> ByteArray:
    """The confusion matrix as (height, width, 3) pixels: one row per true label, darker for larger shares."""
    names = list(dict.fromkeys(name for true, said, _ in evaluation.confusion for name in (true, said)))
    cell, left, top, foot = 56, 190, 150, 34
    canvas: ByteArray = np.full((top + cell * len(names) + foot, left + cell * len(names) + 20, 3), 255, np.uint8)
    shares = {(true, said): share for true, said, share in evaluation.confusion}
    for row, true in enumerate(names):
        y = top + row * cell
        _text(canvas, _short(true), (10, y + cell // 2 + 5))
        for column, said in enumerate(names):
            share = shares.get((true, said), 0.0)
            tone = (30, 120, 60) if true == said else (170, 40, 40)
            color = tuple(round(255 - (255 - value) * share) for value in tone)
            corner = left + column * cell, y
            cv2.rectangle(canvas, corner, (corner[0] + cell - 2, y + cell - 2), color, -1)
            cv2.rectangle(canvas, corner, (corner[0] + cell - 2, y + cell - 2), (220, 220, 220), 1)
            if share:
                ink = (255, 255, 255) if share > 0.5 else (0, 0, 0)
                _text(canvas, f"{share:.2f}".lstrip("0"), (corner[0] + 12, y + cell // 2 + 5), ink)
    _upright(canvas, names, (left, top), cell)
    _text(canvas, "true label (rows), predicted label (columns)", (10, top - 12), (110, 110, 110))
    line = f"F1 {evaluation.f1:.3f}, precision {evaluation.precision:.3f}, recall {evaluation.recall:.3f}"
    _text(canvas, f"{line}, {evaluation.examples} pictures", (10, canvas.shape[0] - 12))
    return canvas


def summary(
    evaluation: Evaluation, arn: str, ended: str, training: int, boxed: Sequence[Example] = ()
) -> dict[str, Any]:
    """The evaluation summary as Rekognition Custom Labels writes it.

    ``training``: number of training pictures. ``boxed``: number of test pictures with boxes; then pictures are
    counted instead of boxes, and averages replace the confusion matrix.
    """
    tested = {one.label: sum(one.label in example.labels for example in boxed) for one in evaluation.labels}
    return {
        "Version": 1,
        "EvaluationDetails": {
            "ProjectVersionArn": arn,
            "EvaluationEndTimestamp": ended,
            "Labels": [one.label for one in evaluation.labels],
            "NumberOfTrainingImages": training,
            "NumberOfTestingImages": len(boxed) or evaluation.examples,
        },
        "AggregatedEvaluationResults": {
            "Precision": evaluation.precision,
            "Recall": evaluation.recall,
            "F1Score": evaluation.f1,
            **(_averages(evaluation) if boxed else _matrix(evaluation)),
        },
        "LabelEvaluationResults": [
            {
                "Label": one.label,
                "NumberOfTestingImages": tested[one.label] if boxed else one.examples,
                "Metrics": {
                    "Threshold": one.threshold,
                    "Precision": one.precision,
                    "Recall": one.recall,
                    "F1Score": one.f1,
                },
            }
            for one in evaluation.labels
        ],
    }


def _averages(evaluation: Evaluation) -> dict[str, Any]:
    return {"AveragePrecision": evaluation.precision, "AverageRecall": evaluation.recall}


def _matrix(evaluation: Evaluation) -> dict[str, Any]:
    cells = [
        {"GroundTruthLabel": true, "PredictedLabel": said, "Value": share}
        for true, said, share in evaluation.confusion
        if NONE not in (true, said)
    ]
    return {"ConfusionMatrix": cells}


def _confusion(
    labels: Sequence[str], said: NDArray[np.bool_], probabilities: FloatArray, truth: NDArray[np.bool_]
) -> tuple[tuple[str, str, float], ...]:
    """A row of several true labels counts for each: as itself if it was predicted, else as the best predicted label."""
    counts = np.zeros((len(labels) + 1, len(labels) + 1))
    for row in range(len(truth)):
        spoken = np.where(said[row], probabilities[row], -1.0)
        best = int(spoken.argmax()) if spoken.max() >= 0 else len(labels)
        for true in np.flatnonzero(truth[row]).tolist() or [len(labels)]:
            counts[true, true if true < len(labels) and said[row, true] else best] += 1
    names = [*labels, NONE]
    totals = counts.sum(axis=1)
    used = [i for i in range(len(names)) if i < len(labels) or totals[i] or counts[:, i].any()]
    return tuple(
        (names[i], names[j], round(float(counts[i, j] / totals[i]), 4) if totals[i] else 0.0)
        for i in used
        for j in used
    )


def _share(part: float, whole: float) -> float:
    return round(float(part) / float(whole), 4) if whole else 0.0


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:18]}.."


def _text(canvas: ByteArray, text: str, at: tuple[int, int], ink: tuple[int, int, int] = (0, 0, 0)) -> None:
    shown = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, shown, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)


def _upright(canvas: ByteArray, names: Sequence[str], corner: tuple[int, int], cell: int) -> None:
    """Draw the column names rotated by 90 degrees, which cv2 cannot do directly."""
    left, top = corner
    for column, name in enumerate(names):
        strip: ByteArray = np.full((20, top - 34, 3), 255, np.uint8)
        _text(strip, _short(name), (2, 15))
        x = left + column * cell + cell // 2 - 10
        canvas[8 : 8 + strip.shape[1], x : x + 20] = np.rot90(strip)
