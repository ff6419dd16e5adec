"""The text detector: a map of the center areas of words, trained on scenes with rendered text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training import augment, loop
from training.graph import Graph
from training.text_rendering import TextSource
from training.text_scenes import centers, scene
from training.torchnet import TorchNet

HEIGHT, WIDTH = 480, 640
PART = (256, 320)
"""Height and width of the training scenes, multiples of 32; a convolutional net takes any size."""
BATCH = 12
GAP = (5, 13)
"""Height and width, in cells, of what counts as near to a center area."""


def shape() -> Graph:
    """A picture (480 x 640) to the probability (19200, 1) that a cell of 4 x 4 pixels is in a word's center area."""
    graph = Graph(HEIGHT, WIDTH)
    fine = graph.conv(graph.conv("input", 8, stride=2), 24, stride=2)
    middle = graph.residual(graph.conv(fine, 40, stride=2), 40)
    coarse = graph.conv(middle, 64, stride=2)
    for _ in range(2):
        coarse = graph.residual(coarse, 64)
    context = graph.residual(graph.conv(coarse, 64, stride=2), 64)
    coarse = graph.add(coarse, graph.up(graph.conv(context, 64, kernel=1, activation="")))
    above = graph.up(graph.conv(coarse, 40, kernel=1, activation=""))
    middle = graph.conv(graph.add(middle, above), 40)
    above = graph.up(graph.conv(middle, 24, kernel=1, activation=""))
    last = graph.conv(graph.add(fine, above), 24)
    last = graph.conv(last, 1, kernel=1, activation="sigmoid", norm=False)
    graph.outputs = (graph.rows(last, 1),)
    return graph


@dataclass(frozen=True)
class Batch:
    """Scenes, the center areas of their words, and the cells that count."""

    images: NDArray[np.uint8]
    centers: NDArray[np.float32]
    counts: NDArray[np.float32]


def render(source: TextSource, count: int, seed: int) -> Batch:
    """Random scenes, the same ones from one seed."""
    rng = np.random.default_rng((seed, count))
    scenes = [scene(source, PART, rng) for _ in range(count)]
    maps = [centers(words, PART) for _, words in scenes]
    targets, counts = (np.stack(column) for column in zip(*maps, strict=True))
    return Batch(np.stack([image for image, _ in scenes]), targets, counts)


def batches(scenes: Batch, seed: int, step: int) -> Iterator[Batch]:
    """Endless batches, from a step on: in other light, some inverted, some mirrored."""
    while True:
        rng = np.random.default_rng((seed, step))
        rows = rng.integers(len(scenes.images), size=BATCH)
        images, targets, counts = scenes.images[rows], scenes.centers[rows], scenes.counts[rows]
        for number in np.flatnonzero(rng.random(BATCH) < 0.4):
            images[number] = augment.light(images[number], rng)
        inverted = rng.random(BATCH) < 0.3
        images[inverted] = 255 - images[inverted]
        mirrored = rng.random(BATCH) < 0.3
        for one in (images, targets, counts):
            one[mirrored] = one[mirrored][:, :, ::-1]
        yield Batch(images, targets, counts)
        step += 1


def to_input(images: NDArray[np.uint8]) -> Tensor:
    """(N, 3, h, w) in -1..1."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return ((pixels - 127.5) / 127.5).contiguous(memory_format=torch.channels_last)


def loss_of(net: TorchNet, batch: Batch) -> tuple[Tensor, str]:
    """Cross entropy with text and the gaps between words weighted up, and the Dice loss."""
    with torch.autocast("cpu", torch.bfloat16):
        (answer,) = net(to_input(batch.images))
    answer = answer.float().flatten(1).clamp(1e-5, 1 - 1e-5)
    target, counts = (torch.from_numpy(one).flatten(1) for one in (batch.centers, batch.counts))
    near = functional.max_pool2d(torch.from_numpy(batch.centers)[:, None], GAP, 1, (GAP[0] // 2, GAP[1] // 2))
    weight = counts * (1 + 3 * near.flatten(1))
    entropy = (functional.binary_cross_entropy(answer, target, reduction="none") * weight).sum() / weight.sum()
    common = (answer * target * counts).sum()
    dice = 1 - (2 * common + 1) / ((answer * counts).sum() + (target * counts).sum() + 1)
    return entropy + 0.5 * dice, f"entropy {entropy.item():.4f} dice {dice.item():.3f}"


def train(
    scenes: Batch, folder: Path, budget: loop.Budget, seed: int, resume: bool, start: Path | None = None
) -> tuple[TorchNet, loop.State]:
    """Train the net, from the weights of another checkpoint where `start` names one; the averaged one comes back."""
    torch.manual_seed(seed)
    net = TorchNet(shape()).to(memory_format=torch.channels_last)
    averaged = TorchNet(net.graph).to(memory_format=torch.channels_last)
    training = loop.Training(net, folder, budget, rates=(0.02, 0.002))
    if resume and training.resume():
        print(f"resumed at step {training.state.step}")
    elif start:
        training.begin_from(start)
    training.run(
        lambda step: batches(scenes, seed, step), lambda batch: loss_of(net, batch), lambda: "saved", every=150.0
    )
    averaged.load_state_dict(training.average.values)
    return averaged, training.state
