"""Model architectures, recognized by the shapes of their tensors.

Each recognizer maps an input of (width, height) and the outputs of a validation run to a decoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.inference.validation import TensorReport

Sizes = tuple[tuple[float, float], ...]
Normalization = tuple[float, float]
"""mean and std of all channels"""

HALF = (127.5, 127.5)
UNIT = (0.0, 255.0)


@dataclass(frozen=True)
class Architecture:
    """Recognized architecture of a model."""

    name: str
    decoder: str
    tensors: tuple[str, ...]
    """names of the outputs, in the decoder's order"""
    labels: int = 1
    """number of classes; 0: unknown"""
    fit: str = "stretch"
    normalization: Normalization | None = None
    """as published, for float inputs"""
    color: str = "rgb"
    score: float = 0.5
    iou: float = 0.3
    extra: dict[str, Any] = field(default_factory=dict)
    """more keys of [decoder]"""


def recognized(width: int, height: int, outputs: Sequence[TensorReport]) -> list[Architecture]:
    """Every matching architecture; several if their shapes are the same."""
    return [family for recognize in RECOGNIZERS for family in recognize(width, height, outputs)]


def ssd(_width: int, _height: int, outputs: Sequence[TensorReport]) -> Iterator[Architecture]:
    boxes = [t for t in outputs if len(t.shape) == 3 and t.shape[-1] == 4]
    rows = [t for t in outputs if len(t.shape) == 2 and boxes and t.shape[1] == boxes[0].shape[1]]
    count = [t for t in outputs if math.prod(t.shape) == 1]
    if len(outputs) != 4 or (len(boxes), len(rows), len(count)) != (1, 2, 1):
        return
    ordered = _classes_first(rows)
    tensors = tuple(t.name for t in (boxes[0], *ordered, count[0]))
    yield Architecture("ssd", "ssd_postprocessed", tensors, 0, normalization=HALF, iou=0.6)


def yolov8(width: int, height: int, outputs: Sequence[TensorReport]) -> Iterator[Architecture]:
    anchors = cells(width, height, (8, 16, 32))
    if len(outputs) != 1 or len(outputs[0].shape) != 3 or anchors not in outputs[0].shape[1:]:
        return
    rows = math.prod(outputs[0].shape[1:]) // anchors
    if rows > 4:
        extra = {"options": {"units": "pixel"}} if outputs[0].high > 2 else {}
        yield Architecture("yolov8", "yolov8", ("#0",), rows - 4, "letterbox", UNIT, score=0.35, iou=0.5, extra=extra)


@dataclass(frozen=True)
class PublishedModel:
    """Published priors of a face detector architecture."""

    name: str
    priors: dict[int, Sizes]
    normalization: Normalization | None
    size: tuple[int, int] | None = None
    """(width, height) of its only published input"""
    color: str = "rgb"


def _squares(*sides: float) -> Sizes:
    return tuple((side, side) for side in sides)


PRIOR_BOX_FACES = (
    PublishedModel(
        "ultra-light-fast",
        {8: _squares(10, 16, 24), 16: _squares(32, 48), 32: _squares(64, 96), 64: _squares(128, 192, 256)},
        (127.0, 128.0),
    ),
    PublishedModel(
        "ultra-light-fast-landmark",
        {8: ((17, 13), (38, 28)), 16: ((98, 74), (161, 119)), 32: ((217, 171), (299, 234))},
        (127.5, 255.0),
        (320, 240),
    ),
    PublishedModel(
        "retinaface", {8: _squares(16, 32), 16: _squares(64, 128), 32: _squares(256, 512)}, None, color="bgr"
    ),
)


def prior_box_faces(width: int, height: int, outputs: Sequence[TensorReport]) -> Iterator[Architecture]:
    by_columns = {t.shape[-1]: t for t in outputs if len(t.shape) == 3}
    if set(by_columns) not in ({4, 2}, {4, 2, 10}) or len(outputs) != len(by_columns):
        return
    scores = by_columns[2]
    logits = scores.low < -0.01 or scores.high > 1.01
    for published in PRIOR_BOX_FACES:
        count = sum(len(sizes) * cells(width, height, (stride,)) for stride, sizes in published.priors.items())
        if count == scores.shape[1] and published.size in (None, (width, height)):
            priors = [{"stride": s, "sizes": [list(size) for size in sizes]} for s, sizes in published.priors.items()]
            yield Architecture(
                published.name,
                "prior_box_faces",
                tuple(by_columns[columns].name for columns in (4, 2, 10) if columns in by_columns),
                normalization=published.normalization,
                color=published.color,
                score=0.6,
                extra={"scores": "logit" if logits else "probability", "priors": priors},
            )


BLAZEFACE = {896: (128, {8: 2, 16: 6}), 2304: (192, {4: 1})}
"""anchors -> (side of the input, anchors per cell by stride)"""


def blazeface(width: int, height: int, outputs: Sequence[TensorReport]) -> Iterator[Architecture]:
    by_columns = {t.shape[-1]: t for t in outputs if len(t.shape) == 3}
    if set(by_columns) != {16, 1} or len(outputs) != 2 or by_columns[16].shape[1] not in BLAZEFACE:
        return
    side, levels = BLAZEFACE[by_columns[16].shape[1]]
    if (width, height) == (side, side):
        priors = [{"stride": stride, "sizes": [[side, side]] * many} for stride, many in levels.items()]
        tensors = by_columns[16].name, by_columns[1].name
        yield Architecture("blazeface", "blazeface", tensors, 1, "letterbox", HALF, extra={"priors": priors})


def anchor_free_faces(width: int, height: int, outputs: Sequence[TensorReport]) -> Iterator[Architecture]:
    by_columns = {t.shape[-1]: t for t in outputs if len(t.shape) == 3}
    if set(by_columns) != {1, 4, 10} or by_columns[1].shape[1] != cells(width, height, (8, 16, 32)):
        return
    tensors = tuple(by_columns[columns].name for columns in (1, 4, 10))
    extra = {"options": {"strides": [8, 16, 32]}}
    yield Architecture("anchor-free-faces", "anchor_free_faces", tensors, 1, "letterbox", None, iou=0.4, extra=extra)


RECOGNIZERS: tuple[Callable[[int, int, Sequence[TensorReport]], Iterator[Architecture]], ...] = (
    ssd,
    yolov8,
    prior_box_faces,
    blazeface,
    anchor_free_faces,
)


def cells(width: int, height: int, strides: Sequence[int]) -> int:
    """Number of cells of the grids with these strides."""
    return sum(math.ceil(width / stride) * math.ceil(height / stride) for stride in strides)


def _classes_first(rows: Sequence[TensorReport]) -> list[TensorReport]:
    """Classes, then scores, of two tensors of one shape.

    TF1's exporter numbers them 1 and 2, TF2's 2 and 1; without such names, values above 1 mark the classes.
    """
    swapped = [row for row in rows if row.name.startswith("StatefulPartitionedCall")]
    numbered = sorted(rows, key=lambda row: row.name, reverse=bool(swapped))
    beyond = [row for row in rows if row.high > 1]
    if len(beyond) == 1:
        return sorted(rows, key=lambda row: row.high, reverse=True)
    return numbered
