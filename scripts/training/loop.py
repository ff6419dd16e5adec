"""The training loop that both trainers share: budget, schedule, averaging, checkpoints."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from training.graph import Graph
from training.grow import grown
from training.optimizer import optimizers
from training.progress import Progress
from training.torchnet import TorchNet

Batch = TypeVar("Batch")
WARM_UP = 0.02
BEGUN = "begun.pt"
"""The weights that a training began with, after its last layer was fitted."""
GENTLE = 0.7
"""Share of the usual rates for a net that begins with another's weights."""


@dataclass(frozen=True)
class Budget:
    """How long to train. Steps repeat exactly from a seed; minutes depend on the machine."""

    minutes: float = 60.0
    steps: int = 0
    """Counts instead of minutes where it is not 0."""
    decay: float = 0.4
    """Share of the budget, at its end, in which the rates fall to nothing."""

    def rate(self, seconds: float, step: int) -> float:
        """Share of the full learning rate."""
        done = self.done(seconds, step)
        return max(0.0, min(1.0, done / WARM_UP + 0.01, (1 - done) / self.decay))

    def done(self, seconds: float, step: int) -> float:
        """Share of the budget that is spent."""
        return step / self.steps if self.steps else seconds / (60 * self.minutes)


@dataclass
class State:
    """Where a training stands."""

    step: int = 0
    seconds: float = 0.0
    falling: bool = False
    """Whether the rates have begun to fall."""


class Average:
    """A running mean of a net's weights and statistics."""

    def __init__(self, net: nn.Module, keep: float = 0.998) -> None:
        self.values = {name: value.clone() for name, value in net.state_dict().items()}
        self._keep = keep

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        keep = min(self._keep, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - keep)
            else:
                self.values[name].copy_(value)


class Training:
    """One net being trained; saved every few minutes and continued from there."""

    def __init__(self, net: TorchNet, folder: Path, budget: Budget, rates: tuple[float, float]) -> None:
        self.net, self.budget, self.folder, self.state = net, budget, folder, State()
        self._rates = rates
        self._device = next(net.parameters()).device
        self._optimizers = optimizers(net, *rates)
        self.average = Average(net)
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Go on from the last checkpoint; with a larger budget, from before the rates fell."""
        for name in ("last.pt", "steady.pt"):
            path = self.folder / name
            if not path.exists():
                continue
            saved = torch.load(path, weights_only=True, map_location=self._device)
            state = State(**saved["state"])
            same = saved["budget"] == asdict(self.budget)
            if same or not state.falling:
                self._load(saved, state)
                return True
        return False

    def _load(self, saved: dict[str, Any], state: State) -> None:
        self.net.load_state_dict(saved["net"])
        self.average.values = saved["average"]
        for optimizer, values in zip(self._optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(values)
        self.state = state

    def begin_from(self, checkpoint: Path) -> None:
        """Take over the averaged weights of another training, and nothing else of it.

        A shallower net's weights will do: blocks that it lacks begin as if they were not there.
        """
        values = torch.load(checkpoint, weights_only=True, map_location=self._device)["average"]
        self.net.load_state_dict(grown(values, self.net))
        self.average = Average(self.net)

    def keep_begun(self) -> None:
        """Write the averaged weights as those that the training began with."""
        torch.save({"average": self.average.values}, self.folder / BEGUN)

    def save(self) -> None:
        """Write last.pt, and steady.pt while the rates have not begun to fall."""
        content = {
            "net": self.net.state_dict(),
            "average": self.average.values,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "state": asdict(self.state),
            "budget": asdict(self.budget),
        }
        for name in ("last.pt",) if self.state.falling else ("last.pt", "steady.pt"):
            partial = self.folder / f"{name}.partial"
            torch.save(content, partial)
            partial.replace(self.folder / name)

    def run(
        self,
        batches: Callable[[int], Iterator[Batch]],
        loss: Callable[[Batch], tuple[Tensor, str]],
        watch: Callable[[], str],
        every: float = 240.0,
    ) -> None:
        """Train until the budget is spent; `watch` measures the averaged net at every save."""
        state, budget = self.state, self.budget
        total = float(budget.steps) if budget.steps else budget.minutes * 60
        start = float(state.step) if budget.steps else state.seconds
        clock, saved = time.monotonic(), time.monotonic()
        self.net.train()
        with Progress("train", total, start) as progress:
            for batch in ahead(batches(state.step)):
                if budget.done(state.seconds, state.step) >= 1:
                    break
                note = self._step(batch, loss)
                now = time.monotonic()
                taken, clock = now - clock, now
                state.seconds += taken
                progress.advance(1 if budget.steps else taken, f"step {state.step} {note}")
                if now - saved > every:
                    self.save()
                    print(f"step {state.step}: {watch()}", flush=True)
                    self.net.train()
                    saved = time.monotonic()
        state.falling = True
        self.save()

    def _step(self, batch: Batch, loss: Callable[[Batch], tuple[Tensor, str]]) -> str:
        rate = self.budget.rate(self.state.seconds, self.state.step)
        self.state.falling = self.state.falling or (
            self.budget.done(self.state.seconds, self.state.step) > 1 - self.budget.decay
        )
        for optimizer, full in zip(self._optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * rate
            optimizer.zero_grad(set_to_none=True)
        value, note = loss(batch)
        value.backward()
        for optimizer in self._optimizers:
            optimizer.step()
        self.state.step += 1
        self.average.update(self.net, self.state.step)
        return note


def steps(checkpoint: Path) -> int:
    """How many steps a checkpoint was trained."""
    return int(torch.load(checkpoint, weights_only=True, map_location="cpu")["state"]["step"])


def averaged(folder: Path, graph: Graph, begun: float = 0.0) -> tuple[TorchNet, State]:
    """The averaged net of a folder's last checkpoint, and where its training stood.

    `begun`: share of the weights that it began with, where the folder has them. Weights between those of before and
    after keep what was learned before (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    saved = torch.load(folder / "last.pt", weights_only=True, map_location="cpu")
    values = saved["average"]
    if begun and (folder / BEGUN).exists():
        first = torch.load(folder / BEGUN, weights_only=True, map_location="cpu")["average"]
        values = {name: _between(value, first[name], begun) for name, value in values.items()}
    net = TorchNet(graph)
    net.load_state_dict(values)
    return net, State(**saved["state"])


def _between(value: Tensor, first: Tensor, share: float) -> Tensor:
    return value.lerp(first, share) if value.is_floating_point() else value


def ahead(items: Iterator[Batch], depth: int = 4) -> Iterator[Batch]:
    """Make the next few batches in another thread while one is being used."""
    ready: queue.Queue[Batch | Exception] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Batch | Exception) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.5)
                return

    def fill() -> None:
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001  raised again where the batch is asked for
            put(error)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
