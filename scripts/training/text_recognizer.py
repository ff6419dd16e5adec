"""The text recognizer: a picture of a word, 32 x 160, to characters; trained with CTC on rendered words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training import augment, loop
from training.graph import Graph
from training.text_rendering import ALPHABET, HEIGHT, WIDTH, TextSource
from training.torchnet import TorchNet

COLUMNS = 40
BLANK = len(ALPHABET)
"""The class between two characters, the last one."""
CLASSES = BLANK + 1
BATCH = 64
WATCH_SECONDS = 150.0


def shape() -> Graph:
    """A transposed word (160 x 32) to (40, 95) logits."""
    graph = Graph(WIDTH, HEIGHT)
    fine = graph.residual(graph.conv("input", 24, stride=2), 24)
    last = graph.conv(fine, 48, stride=2)
    for _ in range(3):
        last = graph.residual(last, 48)
    last = graph.conv(graph.fold(last), 128, kernel=1)
    for _ in range(3):
        last = graph.residual(last, 128)
    last = graph.conv(last, CLASSES, kernel=1, activation="", norm=False)
    graph.outputs = (graph.rows(last, CLASSES),)
    return graph


@dataclass(frozen=True)
class Words:
    """Rendered words and their texts."""

    images: NDArray[np.uint8]
    """(N, 32, 160, 3)."""
    texts: Sequence[str]

    def save(self, path: Path) -> None:
        np.savez(path, images=self.images, texts=np.array(self.texts))

    @staticmethod
    def load(path: Path) -> Words:
        stored = np.load(path)
        return Words(stored["images"], [str(text) for text in stored["texts"]])


def render(source: TextSource, count: int, seed: int) -> Words:
    """Random words, the same ones from one seed."""
    rng = np.random.default_rng((seed, count))
    made = [source.sample(rng) for _ in range(count)]
    return Words(np.stack([image for image, _ in made]), [text for _, text in made])


def transposed(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 160, 32, 3) of words (N, 32, 160, 3): the input of the net."""
    return np.ascontiguousarray(images.transpose(0, 2, 1, 3))


@dataclass(frozen=True)
class Batch:
    """Transposed words, their characters one after another, and how many each has."""

    images: NDArray[np.uint8]
    characters: NDArray[np.int64]
    lengths: NDArray[np.int64]


def batches(words: Words, seed: int, step: int) -> Iterator[Batch]:
    """Endless batches, from a step on."""
    while True:
        rng = np.random.default_rng((seed, step))
        rows = rng.integers(len(words.texts), size=BATCH)
        images = words.images[rows]
        for number in np.flatnonzero(rng.random(BATCH) < 0.4):
            images[number] = augment.light(images[number], rng)
        inverted = rng.random(BATCH) < 0.3
        images[inverted] = 255 - images[inverted]
        texts = [words.texts[row] for row in rows]
        characters = np.array([ALPHABET.index(letter) for text in texts for letter in text])
        yield Batch(transposed(images), characters, np.array([len(text) for text in texts]))
        step += 1


def loss_of(net: TorchNet, batch: Batch) -> tuple[Tensor, str]:
    """Connectionist temporal classification (Graves et al., ICML 2006)."""
    with torch.autocast("cpu", torch.bfloat16):
        (logits,) = net(to_input(batch.images))
    scores = logits.float().log_softmax(dim=2).permute(1, 0, 2)
    columns = torch.full((len(batch.lengths),), COLUMNS)
    loss = functional.ctc_loss(
        scores, torch.from_numpy(batch.characters), columns, torch.from_numpy(batch.lengths), BLANK, zero_infinity=True
    )
    return loss, f"loss {loss.item():.3f}"


def to_input(images: NDArray[np.uint8]) -> Tensor:
    """(N, 3, 160, 32) in -1..1."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return ((pixels - 127.5) / 127.5).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def exact(net: TorchNet, words: Words) -> float:
    """Share of the words that are read exactly."""
    net.eval()
    right = 0
    for start in range(0, len(words.texts), BATCH):
        (logits,) = net(to_input(transposed(words.images[start : start + BATCH])))
        read = [decoded(row) for row in logits.numpy()]
        right += sum(one == text for one, text in zip(read, words.texts[start : start + BATCH], strict=True))
    return right / len(words.texts)


def decoded(logits: NDArray[np.float32]) -> str:
    """The text of (40, 95) logits: the best class of each column, repetitions and blanks left out."""
    best = logits.argmax(axis=1)
    fresh = np.concatenate([[True], best[1:] != best[:-1]])
    return "".join(ALPHABET[letter] for letter in best[fresh] if letter != BLANK)


def train(
    words: Words, kept: Words, folder: Path, budget: loop.Budget, seed: int, resume: bool, start: Path | None = None
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

    def watch() -> str:
        averaged.load_state_dict(training.average.values)
        return f"{exact(averaged, kept):.4f} of {len(kept.texts)} words kept aside read exactly"

    training.run(lambda step: batches(words, seed, step), lambda batch: loss_of(net, batch), watch, every=WATCH_SECONDS)
    print(watch(), flush=True)
    return averaged, training.state
