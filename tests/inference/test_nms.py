"""Overlapping boxes are thinned out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.inference import nms


def one_by_one(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, most: float) -> list[int]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        rivals = [j for j in kept if classes[j] == classes[i]]
        if all(overlap(boxes[i], boxes[j]) <= most for j in rivals):
            kept.append(int(i))
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


@given(st.integers(0, 60), st.integers(1, 4), st.sampled_from([0.2, 0.45, 0.7]), st.integers(0, 10_000))
def test_it_keeps_what_comparing_one_by_one_keeps(count: int, kinds: int, most: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    boxes = random.random((count, 4)).astype(np.float32)
    boxes[:, 2:] = boxes[:, :2] + 0.05 + boxes[:, 2:] / 2
    scores = random.permutation(np.linspace(0.1, 0.9, count)).astype(np.float32)
    classes = random.integers(0, kinds, count)

    kept = one_by_one(boxes, scores, classes, most)
    assert nms.keep(boxes, scores, classes, most) == kept
    assert nms.keep(boxes.tolist(), scores.tolist(), classes.tolist(), most) == kept


def test_thousands_of_candidates_do_not_cost_more_than_hundreds() -> None:
    boxes = np.random.default_rng(1).random((20_000, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]

    assert len(nms.keep(boxes, boxes[:, 0].copy(), np.arange(20_000), 0.5)) <= nms.MOST


def test_boxes_that_are_empty_or_not_finite_do_no_harm() -> None:
    boxes = np.array([[0, 0, 0, 0], [np.nan] * 4, [0, 0, np.inf, 1], [0.1, 0.1, 0.2, 0.2]], np.float32)

    kept = nms.keep(boxes, np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.zeros(4, np.int_), 0.5)

    assert kept == [0, 3]


def test_boxes_that_are_not_finite_do_no_harm_among_many() -> None:
    boxes = np.linspace(0, 1, nms.FEW + 6, dtype=np.float32)[:, np.newaxis] + np.array([0, 0, 0.01, 0.01], np.float32)
    boxes[3], boxes[5, 2] = np.nan, np.inf

    kept = nms.keep(boxes, np.linspace(0.9, 0.1, len(boxes), dtype=np.float32), np.zeros(len(boxes), np.int_), 0.5)

    assert kept == [i for i in range(len(boxes)) if i not in (3, 5)]
