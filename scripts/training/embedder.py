"""Distils what the teachers agree on into a small net, on real and generated faces among those they resemble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training import ensemble, graph, loop, measures
from training.crops import Faces, Labeled, inner, read_labels
from training.torchnet import TorchNet
from training.views import Views

BATCH = 96
BLOCKS = (2, 5, 2)
"""Residual blocks of the three levels."""
CIRCLE, NEAR, WIDTH = 8, 24, 6
"""A batch has WIDTH circles of CIRCLE faces, each one face and some of its NEAR nearest; the rest is random."""
RELATIONS = 4.0
OVER = 2.0
"""How much worse it is to find two faces more alike than the teachers do than less alike."""
ALIKE = 6.0
"""How much more pairs count that the teachers find alike."""
CROWD, SCALE, LEAD = 0.3, 20.0, 0.1
"""Weight of finding a face among all; what cosines are multiplied by there; by how much its own has to lead."""
RATES = (1e-2, 1e-3, 1e-4)
"""False match rates at which a net is judged."""
OWN = 0.35
"""How far a target moves toward the mean of its person's pictures."""
DECAY = 0.95
"""Share of the budget in which the rates fall."""
GENTLE = 0.7
"""Share of the usual rates for a net that begins with another's weights. With .12 of them less is undone at first, and
degraded pictures of people kept aside are told apart less well by the end (.55 after 831 steps, .60 after 1,309 more at
.7: true accepts at one false match in 10,000)."""
FROZEN = 2
"""Layers at the beginning that stay as they are then: a fifth of a step's time."""
VARIED = 0.6
"""Share of the usual variations then: with all of them a short training learns clean pictures less well."""
KEPT = 0.3
"""Share of the weights that it began with in the net that is shipped."""
NORM = 8.0
"""Length that raw embeddings are held near, so that one int8 scale fits them all."""


def shape() -> graph.Graph:
    """The net that is trained."""
    return graph.embedder(blocks=BLOCKS)


@dataclass(frozen=True)
class Batch:
    """Faces with what the net shall say of them."""

    number: int
    crops: NDArray[np.uint8]
    """(N, 120, 120, 3)"""
    rows: NDArray[np.int64]
    """(N,) their places among all targets"""


class Material:
    """The labeled faces as targets, read anew when there are many more of them than before."""

    def __init__(self, work: Path, faces: Faces, grow: float = 1.25) -> None:
        self._cache, self._faces, self._grow = work / "labels", faces, grow
        self._projection_file = work / "projection.npz"
        self._projection = ensemble.Projection.load(self._projection_file)
        self._read(read_labels(self._cache))

    def turn(self, wanted: NDArray[np.float32]) -> None:
        """Turn all targets at once so that those of the known faces come nearest to wanted ones."""
        labeled = read_labels(self._cache)
        self._projection = self._projection.toward(np.asarray(labeled.embeddings[: len(wanted)]), wanted)
        self._projection.save(self._projection_file)
        self._read(labeled)

    def _read(self, labeled: Labeled) -> None:
        real = min(len(self._faces.people), len(labeled.crops))
        targets = self._projection(np.asarray(labeled.embeddings))
        self.targets = ensemble.toward_people(targets, self._faces.people[:real], OWN)
        self.crops = labeled.crops
        self._near = ensemble.neighbors(ensemble.unit(np.asarray(labeled.embeddings)), NEAR)
        print(f"{len(self.crops)} labeled faces", flush=True)

    def batches(self, size: int, seed: int, step: int) -> Iterator[Batch]:
        """Endless batches from number `step` on; each depends on the seed, its number and the labels alone."""
        while True:
            if step % 200 == 0:
                labeled = read_labels(self._cache)
                if len(labeled.crops) > self._grow * len(self.crops):
                    self._read(labeled)
            rng = np.random.default_rng((seed, step))
            middles = rng.integers(len(self.crops), size=WIDTH)
            around = [rng.choice(self._near[row], CIRCLE - 1, replace=False) for row in middles]
            others = rng.integers(len(self.crops), size=size - WIDTH * CIRCLE)
            rows = np.concatenate([middles, *around, others])
            yield Batch(step, np.stack([self.crops[row] for row in rows]), rows)
            step += 1


def to_input(images: Tensor) -> Tensor:
    """(N, 3, 112, 112) in 0..1 as the net's input in -1..1."""
    return images.mul(2).sub(1).contiguous(memory_format=torch.channels_last)


def among_all(unit: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
    """Cross entropy of finding faces among all targets, as sure of others as their target is; its own has to lead.

    Large margin cosine loss (Wang et al., CVPR 2018) with the teachers' embeddings as fixed centers.
    """
    wanted = (targets[rows] @ targets.T * SCALE).softmax(dim=1)
    found = unit @ targets.T * SCALE
    found = found.index_put((torch.arange(len(rows), device=rows.device), rows), found.new_tensor(-LEAD * SCALE), True)
    return -(wanted * found.log_softmax(dim=1)).sum(dim=1).mean()


def distance(raw: Tensor, targets: Tensor, rows: Tensor) -> tuple[Tensor, str]:
    """How far embeddings and their relations to one another are from the teachers'."""
    target = targets[rows]
    norms = raw.norm(dim=1)
    unit = raw / norms[:, None].clamp_min(1e-6)
    cosine = (unit * target).sum(dim=1).mean()
    wanted = target @ target.T
    excess = unit @ unit.T - wanted
    weight = torch.where(excess > 0, OVER, 1.0) * (1 + ALIKE * wanted.clamp_min(0).fill_diagonal_(0))
    relations = (weight * excess.square()).mean()
    length = (norms.clamp_min(1e-3).log() - np.log(NORM)).square().mean()
    crowd = among_all(unit, targets, rows)
    total = 1 - cosine + RELATIONS * relations + CROWD * crowd + 0.02 * length
    return total, f"cosine {cosine.item():.3f} relations {relations.item():.4f} crowd {crowd.item():.3f}"


@torch.no_grad()
def answers(net: TorchNet, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the net says (N, 128) of aligned crops (N, 112, 112, 3)."""
    net.eval()
    device = next(net.parameters()).device
    parts = []
    for row in range(0, len(crops), 64):
        images = torch.from_numpy(np.ascontiguousarray(crops[row : row + 64])).to(device).permute(0, 3, 1, 2)
        parts.append(net(to_input(images.float() / 255))[0].cpu())
    return torch.cat(parts).numpy()


def embed(net: TorchNet, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit embeddings (N, 128) of aligned crops (N, 112, 112, 3)."""
    return ensemble.unit(answers(net, crops))


def judge(vectors: NDArray[np.float32], faces: Faces) -> str:
    """Pairs of one person accepted where so many of all pairs of two pass, and of those of two of one group."""
    same, different = measures.all_pairs(vectors, faces.people)
    alike = measures.among_groups(vectors, faces.people, faces.groups)
    parts = [f"TAR at FMR .0001: {measures.tar_at(same, different, 1e-4):.3f}; among people of one group"]
    for kind, cosines in alike.items():
        rates = [f"{far:g}: {measures.tar_at(same, cosines, far):.3f}" for far in RATES if far * len(cosines) >= 1]
        parts.append(f"{kind} at {', '.join(rates)}")
    return "; ".join(parts)


@torch.no_grad()
def project(net: TorchNet, faces: Faces) -> NDArray[np.float32]:
    """Put the projection of the net's own embeddings of known people into its last layer.

    Returns what it says of them after that, (N, 128).
    """
    before = answers(net, inner(faces.crops))
    length = float(np.linalg.norm(before, axis=1).mean())
    own = ensemble.fit(ensemble.unit(before), faces.people, faces.groups)
    gain = NORM / float(np.linalg.norm((before / length - own.mean) @ own.matrix, axis=1).mean())
    last = net.layers[net.graph.outputs[0]]
    assert isinstance(last, nn.Linear)
    matrix, mean = (torch.from_numpy(part).to(last.weight.device) for part in (own.matrix, own.mean))
    last.weight.copy_(matrix.T @ last.weight * (gain / length))
    last.bias.copy_((last.bias / length - mean) @ matrix * gain)
    return embed(net, inner(faces.crops))


def train(
    material: Material,
    known: Faces,
    kept: Faces,
    folder: Path,
    budget: loop.Budget,
    seed: int,
    resume: bool,
    start: Path | None = None,
    device: str = "cpu",
    size: int = BATCH,
) -> tuple[TorchNet, loop.State]:
    """Train the embedder; the averaged net comes back, and how long it took."""
    torch.manual_seed(seed)
    place = torch.device(device)
    net = TorchNet(shape()).to(place, memory_format=torch.channels_last)
    averaged = TorchNet(net.graph).to(place, memory_format=torch.channels_last)
    gentle = GENTLE if start else 1.0
    net.frozen = FROZEN if start else 0
    training = loop.Training(net, folder, budget, rates=(0.02 * gentle, 0.002 * gentle))
    views = Views(place, seed, VARIED if start else 1.0)
    crops = inner(kept.crops)
    if resume and training.resume():
        print(f"resumed at step {training.state.step}")
    elif start:
        if resume:
            print("nothing to go on from: the rates had begun to fall under another budget", flush=True)
        training.begin_from(start)
        material.turn(project(net, known))
        training.average = loop.Average(net)
        training.keep_begun()

    def loss(batch: Batch) -> tuple[Tensor, str]:
        images = views(torch.from_numpy(batch.crops).to(place).permute(0, 3, 1, 2), batch.number)
        with torch.autocast(place.type, torch.bfloat16):
            raw = net(to_input(images))[0]
        return distance(
            raw.float(), torch.from_numpy(material.targets).to(place), torch.from_numpy(batch.rows).to(place)
        )

    def watch() -> str:
        averaged.load_state_dict(training.average.values)
        return judge(embed(averaged, crops), kept)

    print(f"before: {watch()}", flush=True)
    training.run(lambda step: material.batches(size, seed, step), loss, watch, every=480.0)
    print(watch(), flush=True)
    mixed, _ = loop.averaged(folder, net.graph, KEPT)
    print(f"with {KEPT:g} of the weights before: {judge(embed(mixed, crops), kept)}", flush=True)
    return mixed, training.state
