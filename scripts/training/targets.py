"""Which cell of which grid answers for which face, and the detector's loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.composites import SIZE, SMALLEST, Scene
from training.graph import POINTS, STRIDES

RANGES = {8: (0.0, 36.0), 16: (26.0, 92.0), 32: (66.0, 1e9)}
"""Sizes of faces, sqrt(width * height) in pixels, that the grid of a stride answers for."""


USUAL = 6
"""Cells of a face whose cells weigh 1."""


@lru_cache(maxsize=1)
def cells() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centers (N, 2) and strides (N,) of all cells, in the order of the net's rows."""
    centers, strides = [], []
    for stride in STRIDES:
        columns, rows = (-(-side // stride) for side in SIZE)
        ys, xs = np.mgrid[:rows, :columns]
        centers.append((np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5) * stride)
        strides.append(np.full(rows * columns, stride))
    return np.concatenate(centers).astype(np.float32), np.concatenate(strides).astype(np.float32)


@lru_cache(maxsize=1)
def _ranges() -> NDArray[np.float32]:
    """(N, 2) least and greatest size of every cell's faces."""
    return np.array([RANGES[int(stride)] for stride in cells()[1]], np.float32)


@lru_cache(maxsize=1)
def _mirror() -> NDArray[np.int64]:
    """(N,) numbers of the cells of the mirror image."""
    order, start = [], 0
    for stride in STRIDES:
        columns, rows = (-(-side // stride) for side in SIZE)
        numbers = np.arange(start, start + rows * columns).reshape(rows, columns)
        order.append(numbers[:, ::-1].ravel())
        start += rows * columns
    return np.concatenate(order)


@dataclass(frozen=True)
class Targets:
    """What the net should answer to one scene, a row per cell; pixels."""

    state: NDArray[np.int8]
    """(N,) 1 where the cell answers for a face, 0 where there is none, -1 where both is fine."""
    boxes: NDArray[np.float32]
    """(N, 4) left, top, right, bottom."""
    points: NDArray[np.float32]
    """(N, 5, 2); NaN: the face's landmarks are unknown."""
    certainty: NDArray[np.float32]
    """(N,) share of the full score that is asked of a cell that answers for a face: a soft label."""
    weight: NDArray[np.float32]
    """(N,) of the loss of the score: cells of small faces, which have few, count more."""

    def mirrored(self) -> Targets:
        """The targets of the picture's mirror image."""
        order = _mirror()
        boxes = self.boxes[order][:, [2, 1, 0, 3]]
        boxes[:, ::2] = SIZE[0] - boxes[:, ::2]
        points = self.points[order][:, [1, 0, 2, 4, 3]]
        points[..., 0] = SIZE[0] - points[..., 0]
        return Targets(self.state[order], boxes, points, self.certainty[order], self.weight[order])


def assign(scene: Scene) -> Targets:
    """The cells near the middle of a face, on the grids of its size, answer for it."""
    centers, strides = cells()
    count = len(centers)
    state, nearest = np.zeros(count, np.int8), np.full(count, np.inf, np.float32)
    boxes = np.zeros((count, 4), np.float32)
    points = np.zeros((count, POINTS, 2), np.float32)
    certainties, weight = np.ones(count, np.float32), np.ones(count, np.float32)
    ranges = _ranges()
    for box, face_points, certainty in zip(scene.boxes, scene.points, scene.certainty, strict=True):
        middle, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        shown = np.minimum(box[2:], SIZE) - np.maximum(box[:2], 0)
        size = float(np.sqrt(extent.prod()))
        away = np.abs(centers - middle)
        core = (away < np.maximum(0.28 * extent, 0.6 * strides[:, None])).all(axis=1)
        hidden = (shown <= 0).any() or shown.prod() < 0.45 * extent.prod()
        if hidden or extent[1] < SMALLEST or not certainty:
            state[(away < 0.5 * extent + 2).all(axis=1) & (state == 0)] = -1
            continue
        distance = away.sum(axis=1)
        fits = (ranges[:, 0] <= size) & (size < ranges[:, 1])
        chosen = core & fits & (distance < nearest)
        state[chosen], nearest[chosen] = 1, distance[chosen]
        boxes[chosen], points[chosen] = box, face_points
        certainties[chosen] = certainty
        weight[chosen] = np.clip(np.sqrt(USUAL / max(int(chosen.sum()), 1)), 0.5, 2)
    return Targets(state, boxes, points, certainties, weight)


def loss(outputs: tuple[Tensor, ...], targets: list[Targets]) -> tuple[Tensor, str]:
    """Quality focal loss of the scores, GIoU of the boxes, distance of the landmarks."""
    scores, sides, points = outputs
    device = scores.device
    centers, strides = (torch.from_numpy(part).to(device) for part in cells())
    state = torch.from_numpy(np.stack([target.state for target in targets])).to(device)
    chosen = state == 1
    wanted = torch.from_numpy(np.stack([target.boxes for target in targets])).to(device)[chosen]
    wanted_points = torch.from_numpy(np.stack([target.points for target in targets])).to(device)[chosen]
    image, cell = chosen.nonzero(as_tuple=True)
    stride, center = strides[cell, None], centers[cell]
    reach = sides[image, cell] * stride
    boxes = torch.cat([center - reach[:, :2], center + reach[:, 2:]], dim=1)
    overlap, giou = overlaps(boxes, wanted)
    quality = torch.zeros_like(scores[..., 0])
    certainty = torch.from_numpy(np.stack([target.certainty for target in targets])).to(device)[chosen]
    quality[chosen] = certainty * (0.4 + 0.6 * overlap.detach().clamp(0, 1))
    weight = torch.from_numpy(np.stack([target.weight for target in targets])).to(device)
    found = scores[..., 0].clamp(1e-6, 1 - 1e-6)
    focal = functional.binary_cross_entropy(found, quality, reduction="none")
    focal = (weight * focal * (found - quality).square())[state >= 0].sum()
    total = max(float(chosen.sum()), 1.0)
    guess = center[:, None] + points[image, cell].view(-1, POINTS, 2) * stride[..., None]
    known = ~wanted_points.isnan().any(dim=2).any(dim=1)
    size = (wanted[known, 2:] - wanted[known, :2]).mean(dim=1)[:, None, None]
    miss = functional.smooth_l1_loss(guess[known] / size, wanted_points[known] / size, beta=0.05)
    parts = (focal / total, (1 - giou).mean(), miss)
    value = 1.5 * parts[0] + 1.0 * parts[1] + 4.0 * parts[2]
    note = f"score {parts[0]:.3f} IoU {overlap.mean():.3f} points {miss:.4f}"
    return value, note


def overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalized IoU of boxes (N, 4), row by row."""
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, 2:], second[:, 2:])
    both = (high - low).clamp_min(0).prod(dim=1)
    areas = [(box[:, 2:] - box[:, :2]).clamp_min(0).prod(dim=1) for box in (first, second)]
    union = areas[0] + areas[1] - both + 1e-6
    hull = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    hull_area = hull.clamp_min(0).prod(dim=1) + 1e-6
    overlap = both / union
    return overlap, overlap - (hull_area - union) / hull_area
