"""Distils a teacher's embedding into a small net, on generated faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import data, graph, loop, measures, teacher
from training.align import CROP
from training.augment import student_view
from training.torchnet import TorchNet

BATCH = 96
Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
RELATIONS = 4.0
NORM = 8.0
"""Length that raw embeddings are held near, so that one int8 scale fits them all."""


def batches(labeled: teacher.Labeled, size: int, seed: int, step: int) -> Iterator[Batch]:
    """Endless batches from number `step` on; each depends on the seed and its number alone."""
    count = len(labeled.crops)
    per_epoch = max(count // size, 1)
    while True:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        rows = np.sort(order[place * size : (place + 1) * size])
        rng = np.random.default_rng((seed, step, 1))
        images = np.stack([student_view(labeled.crops[row], rng) for row in rows])
        yield images, _centered(labeled.embeddings[rows], labeled.center)
        step += 1


def _centered(embeddings: NDArray[np.float32], center: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit embeddings without what all faces have in common, which tells nobody from anybody."""
    left = embeddings - center
    return left / np.linalg.norm(left, axis=1, keepdims=True)


def to_input(images: NDArray[np.uint8]) -> Tensor:
    """(N, 112, 112, 3) bytes as the net's input in -1..1."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    return tensor.float().sub_(127.5).div_(127.5)


def distance(raw: Tensor, target: Tensor) -> tuple[Tensor, str]:
    """How far embeddings and their relations to one another are from the teacher's."""
    norms = raw.norm(dim=1)
    unit = raw / norms[:, None].clamp_min(1e-6)
    cosine = (unit * target).sum(dim=1).mean()
    relations = (unit @ unit.T - target @ target.T).square().mean()
    length = (norms.clamp_min(1e-3).log() - np.log(NORM)).square().mean()
    total = 1 - cosine + RELATIONS * relations + 0.02 * length
    return total, f"cosine {cosine.item():.3f} relations {relations.item():.4f}"


@torch.no_grad()
def embed(net: TorchNet, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit embeddings (N, 128) of aligned crops (N, 112, 112, 3)."""
    net.eval()
    parts = [net(to_input(crops[row : row + 64]))[0] for row in range(0, len(crops), 64)]
    vectors = torch.cat(parts).numpy()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def judge(vectors: NDArray[np.float32], people: NDArray[np.int64]) -> str:
    """Measures on people that were kept aside, for choosing between models."""
    same, different = measures.all_pairs(vectors, people)
    accuracy, _ = measures.fold_accuracy(same, different)
    rates = [measures.tar_at(same, different, far) for far in (0.01, 0.001)]
    return (
        f"held out: accuracy {accuracy:.4f} AUC {measures.area(same, different):.4f} "
        f"TAR@.01 {rates[0]:.4f} TAR@.001 {rates[1]:.4f}"
    )


def train(
    labeled: teacher.Labeled,
    held_out: tuple[NDArray[np.uint8], NDArray[np.int64]],
    folder: Path,
    budget: loop.Budget,
    seed: int,
    resume: bool,
    start: Path | None = None,
    size: int = BATCH,
) -> tuple[TorchNet, loop.State]:
    """Train the embedder; the averaged net comes back, and how long it took."""
    torch.manual_seed(seed)
    net = TorchNet(graph.embedder()).to(memory_format=torch.channels_last)
    averaged = TorchNet(net.graph).to(memory_format=torch.channels_last)
    gentle = loop.GENTLE if start else 1.0
    training = loop.Training(net, folder, budget, rates=(0.02 * gentle, 0.002 * gentle))
    if resume and training.resume():
        print(f"resumed at step {training.state.step}")
    elif start:
        training.begin_from(start)

    def loss(batch: Batch) -> tuple[Tensor, str]:
        images = to_input(batch[0]).contiguous(memory_format=torch.channels_last)
        return distance(net(images)[0], torch.from_numpy(np.ascontiguousarray(batch[1])))

    def watch() -> str:
        averaged.load_state_dict(training.average.values)
        return judge(embed(averaged, held_out[0]), held_out[1])

    training.run(lambda step: batches(labeled, size, seed, step), loss, watch)
    print(watch(), flush=True)
    return averaged, training.state


def held_out_faces(
    pictures: Sequence[data.Picture], folder: Path, most: int = 8
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Aligned crops (N, 112, 112, 3) of people kept aside, at most `most` of each."""
    crops, people = teacher.real_faces(pictures, folder)
    first = np.searchsorted(people, people)
    rows = np.arange(len(people)) - first < most
    edge = teacher.MARGIN
    return np.ascontiguousarray(crops[rows, edge : edge + CROP, edge : edge + CROP]), people[rows]
