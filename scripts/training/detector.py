"""Trains the face detector on composed scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import data, graph, loop, targets
from training.backgrounds import Backgrounds, read_material, surroundings
from training.composites import Composer
from training.embedder import to_input
from training.torchnet import TorchNet

BATCH = 32
Batch = tuple[NDArray[np.uint8], list[targets.Targets]]
PRIOR = 0.02
"""Score of every cell before training: faces are rare."""


def composer(pictures: Sequence[data.Picture], folder: Path, backgrounds: Path | None) -> Composer:
    """A composer of scenes from labeled pictures and a folder of pictures without faces."""
    images = [data.read_rgb(folder / picture.file) for picture in pictures]
    around = surroundings(images, pictures)
    return Composer(images, pictures, Backgrounds(read_material(backgrounds), around))


def batches(scenes: Composer, size: int, seed: int, step: int) -> Iterator[Batch]:
    """Endless batches from number `step` on; each depends on the seed and its number alone."""
    while True:
        rng = np.random.default_rng((seed, step))
        made = [scenes.scene(rng) for _ in range(size)]
        yield np.stack([scene.image for scene in made]), [targets.assign(s) for s in made]
        step += 1


def new_net() -> TorchNet:
    """A detector whose scores start low."""
    net = TorchNet(graph.detector()).to(memory_format=torch.channels_last)
    for node in net.graph.nodes:
        if node.activation == "sigmoid":
            bias = net.layers[node.name].get_parameter("0.0.bias")
            torch.nn.init.constant_(bias, float(np.log(PRIOR / (1 - PRIOR))))
    return net


def train(
    scenes: Composer,
    held_out: Composer,
    folder: Path,
    budget: loop.Budget,
    seed: int,
    resume: bool,
    start: Path | None = None,
    size: int = BATCH,
) -> tuple[TorchNet, loop.State]:
    """Train the detector; the averaged net comes back, and how long it took."""
    torch.manual_seed(seed)
    net, averaged = new_net(), new_net()
    gentle = loop.GENTLE if start else 1.0
    training = loop.Training(net, folder, budget, rates=(0.02 * gentle, 0.002 * gentle))
    if resume and training.resume():
        print(f"resumed at step {training.state.step}")
    elif start:
        training.begin_from(start)
    others = batches(held_out, size, seed + 1, 0)
    judged = [next(others) for _ in range(6)]

    def loss(batch: Batch) -> tuple[Tensor, str]:
        images = to_input(batch[0]).contiguous(memory_format=torch.channels_last)
        return targets.loss(net(images), batch[1])

    def watch() -> str:
        averaged.load_state_dict(training.average.values)
        return judge(averaged, judged)

    training.run(lambda step: batches(scenes, size, seed, step), loss, watch)
    print(watch(), flush=True)
    return averaged, training.state


@torch.no_grad()
def judge(net: TorchNet, batches: Sequence[Batch]) -> str:
    """Losses on scenes with people that were kept aside, for choosing between models."""
    net.eval()
    values, notes = [], ""
    for images, wanted in batches:
        value, notes = targets.loss(net(to_input(images)), wanted)
        values.append(float(value))
    return f"held out: loss {np.mean(values):.4f}, in the last batch {notes}"
