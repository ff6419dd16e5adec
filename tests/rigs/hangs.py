"""Runs in a box in place of ``edge``: the same program, with a hang point in each thread.

A thread that reaches its hang point while the file /run/hang/NAME exists logs it and deadlocks. ``gil`` holds the
interpreter's global lock.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER = Path("/run/hang")
SLOW = 30.0
PLACES = {
    "inference": ("edge.inference.detector", "Detector", "detect"),
    "outbox": ("edge.mqtt.outbox.store", "OutboxStore", "write"),
    "delivery": ("edge.mqtt.delivery", "Delivery", "_step"),
    "mqtt-work": ("edge.mqtt.client", "MqttClient", "_look_after_paho"),
    "mqtt-network": ("edge.mqtt.connection", "BrokerConnection", "loop_misc"),
    "api": ("edge.api.rekognition.service", "Service", "health"),
    "main": ("edge.daemon.reporter", "Reporter", "flush"),
    "commands": ("edge.mqtt.command_auth", "Gate", "answer"),
}


def stop_here(name: str) -> None:
    if (FOLDER / name).exists():
        print(f"hang: {name} stands still in thread {threading.current_thread().name}", file=sys.stderr, flush=True)
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()


def stops(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def with_stop(*arguments: Any, **named: Any) -> Any:
        stop_here(name)
        return real(*arguments, **named)

    return with_stop


def capture() -> None:
    from edge.sources.synthetic import Synthetic

    frames = Synthetic.frames

    def with_stop(self: Synthetic) -> Iterator[Any]:
        for frame in frames(self):
            stop_here("capture")
            yield frame

    Synthetic.frames = with_stop  # type: ignore[method-assign]


def slow_trials() -> None:
    """While the file ``slow`` is there, the trial of a model takes half a minute more."""
    from edge.inference import validation as check

    verdict = check._verdict

    def later(*arguments: Any) -> Any:
        if (FOLDER / "slow").exists():
            time.sleep(SLOW)
        return verdict(*arguments)

    check._verdict = later


def keep_the_interpreter() -> None:
    while not (FOLDER / "gil").exists():
        time.sleep(0.5)
    print("hang: gil stands still: the interpreter's lock is kept", file=sys.stderr, flush=True)
    ctypes.PyDLL(None).sleep(100_000)


def main() -> int:
    for name, (module, owner, method) in PLACES.items():
        one = getattr(importlib.import_module(module), owner)
        setattr(one, method, stops(name, getattr(one, method)))
    capture()
    slow_trials()
    threading.Thread(target=keep_the_interpreter, daemon=True).start()
    from edge.cli.main import main as edge

    return edge()


if __name__ == "__main__":
    sys.exit(main())
