"""Trains the face detector on composed scenes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import bystanders, data, graph, loop, targets
from training.augment import light
from training.backgrounds import Backgrounds, read_material, surroundings
from training.composites import Composer, LabelCheck
from training.embedder import to_input
from training.torchnet import TorchNet

BATCH = 32
DECAY = 0.65
"""Share of the budget in which the rates fall."""
Batch = tuple[NDArray[np.uint8], list[targets.Targets]]
PORTRAIT = 0.2
"""Share of a picture's height from which its only face makes it a portrait."""
FROZEN = 2
"""Layers at the beginning that stay as they are when a training starts from weights: half of the cost."""
USES, REPLAY = 3, 1000
"""How often a composed scene is used on average, and how many batches of new scenes the replay buffer holds."""
PRIOR = 0.02
"""Score of every cell before training: faces are rare."""


Files = Sequence[tuple[Path, data.Picture]]


def composer(
    pictures: Sequence[data.Picture],
    folder: Path,
    backgrounds: Path | None,
    portraits: Files = (),
    wholes: Files = (),
    check: str = "",
) -> Composer:
    """A composer of scenes from labeled pictures in a folder and pictures without faces.

    `portraits`: more pictures, used like `pictures` where they show a single large face. `wholes`: pictures that crops
    are taken from. `check`: name of a detector that corrects labels.
    """
    images = [data.read_rgb(folder / picture.file) for picture in pictures]
    around = surroundings(images, pictures)
    labeled, others = list(pictures), []
    for path, picture in portraits:
        image = data.read_rgb(path)
        if is_portrait(image, picture):
            images.append(image)
            labeled.append(picture)
        else:
            others.append((image, picture))
    corrected = LabelCheck(partial(bystanders.finder, check)) if check else None
    crops = [(data.read_rgb(path), picture) for path, picture in wholes]
    return Composer(images, labeled, Backgrounds(read_material(backgrounds), around), crops, others, corrected)


def is_portrait(image: NDArray[np.uint8], picture: data.Picture) -> bool:
    """Whether a picture shows a single large face with landmarks."""
    if len(picture.certain) != 1 or not picture.labeled:
        return False
    box = picture.labeled[0].box
    return bool(box[3] - box[1] > PORTRAIT * image.shape[0])


def scenes_of(composer: Composer, size: int, seed: int, step: int) -> Batch:
    """Batch number `step` of a seed."""
    rng = np.random.default_rng((seed, step))
    made = [composer.scene(rng) for _ in range(size)]
    return np.stack([scene.image for scene in made]), [targets.assign(s) for s in made]


def batches(scenes: Composer, size: int, seed: int, step: int, workers: int = 0) -> Iterator[Batch]:
    """Endless batches from number `step` on; each depends on the seed and its number alone.

    `workers`: processes that compose; 0: composed here.
    """
    if not workers:
        while True:
            yield scenes_of(scenes, size, seed, step)
            step += 1
    with get_context("fork").Pool(workers, _begin, (scenes,)) as pool:
        ready = deque(pool.apply_async(_work, (size, seed, step + ahead)) for ahead in range(3 * workers))
        step += len(ready)
        while True:
            yield ready.popleft().get()
            ready.append(pool.apply_async(_work, (size, seed, step)))
            step += 1


_composer: Composer | None = None


def _begin(scenes: Composer) -> None:
    global _composer
    _composer = scenes
    cv2.setNumThreads(1)


def _work(size: int, seed: int, step: int) -> Batch:
    assert _composer is not None
    return scenes_of(_composer, size, seed, step)


def replayed(fresh: Iterator[Batch], seed: int, step: int) -> Iterator[Batch]:
    """Each batch with USES - 1 earlier ones, mirrored and in other light: composing costs as much as training."""
    memory: deque[Batch] = deque(maxlen=REPLAY)
    for images, wanted in fresh:
        memory.append((images, wanted))
        rng = np.random.default_rng((seed, step, 1))
        rows = [memory[int(rng.integers(len(memory)))] for _ in range(USES - 1)]
        again = [_augmented(*one, rng) for row in rows for one in zip(*row, strict=True)]
        yield np.concatenate([images, np.stack([image for image, _ in again])]), wanted + [t for _, t in again]
        step += 1


def _augmented(
    image: NDArray[np.uint8], wanted: targets.Targets, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], targets.Targets]:
    image = light(image, rng) if rng.random() < 0.6 else image
    if rng.random() < 0.7:
        return np.ascontiguousarray(image[:, ::-1]), wanted.mirrored()
    return image, wanted


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
    device: str = "cpu",
    workers: int = 0,
) -> tuple[TorchNet, loop.State]:
    """Train the detector; the averaged net comes back, and how long it took."""
    torch.manual_seed(seed)
    net, averaged = new_net().to(device), new_net().to(device)
    gentle = loop.GENTLE if start else 1.0
    net.frozen = FROZEN if start else 0
    training = loop.Training(net, folder, budget, rates=(0.02 * gentle, 0.002 * gentle))
    if resume and training.resume():
        print(f"resumed at step {training.state.step}")
    elif start:
        training.begin_from(start)
    others = batches(held_out, 32, seed + 1, 0)
    judged = [next(others) for _ in range(6)]

    def loss(batch: Batch) -> tuple[Tensor, str]:
        images = to_input(_tensor(batch[0]).to(device))
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            outputs = net(images)
        return targets.loss(outputs, batch[1])

    def watch() -> str:
        averaged.load_state_dict(training.average.values)
        return judge(averaged, judged)

    def fresh(step: int) -> Iterator[Batch]:
        return replayed(batches(scenes, size // USES, seed, step, workers), seed, step)

    training.run(fresh, loss, watch)
    print(watch(), flush=True)
    return averaged.cpu(), training.state


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    """(N, height, width, 3) as (N, 3, height, width) in 0..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def judge(net: TorchNet, batches: Sequence[Batch]) -> str:
    """Losses on scenes with people that were kept aside, for choosing between models."""
    net.eval()
    values, notes = [], ""
    for images, wanted in batches:
        device = next(net.parameters()).device
        value, notes = targets.loss(net(to_input(_tensor(images).to(device))), wanted)
        values.append(float(value))
    return f"held out: loss {np.mean(values):.4f}, in the last batch {notes}"
