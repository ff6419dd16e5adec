"""Models are tried in a child process before anything that matters loads them: a bad file can kill its process."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.errors import ModelError
from edge.core.settings.vision import ModelSettings
from edge.core.storage import files, layout
from edge.core.system import systemd as sdnotify
from edge.inference.card import Card, to_table
from edge.inference.interpreter import choose
from edge.inference.model import Model

log = logging.getLogger(__name__)

MEMORY = 2 << 30
"""bytes of address space that a trial may use"""
SECONDS = 60
"""of CPU that the whole trial may take"""
PATIENCE = 5
"""times as long by the clock: a busy board is no fault of the model"""
PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


@dataclass(frozen=True)
class TensorReport:
    """An input or output as it was after an invoke."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    low: float = 0.0
    """outputs: the least and the greatest real value that noise brought forth"""
    high: float = 0.0


@dataclass(frozen=True)
class CheckReport:
    """What a trial found out."""

    engine: str
    fallback: str
    """why the CPU runs it where a delegate was asked for; empty otherwise"""
    load_ms: float
    invoke_ms: float
    """the fastest of a few, with ``models.threads``"""
    peak_mb: float
    """resident memory of the whole child"""
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]


def check(model: Model, settings: ModelSettings, seconds: float = SECONDS, memory: int = MEMORY) -> CheckReport:
    """Load, allocate and invoke a model in a child process, and use it as its card says.

    Raises ModelError for a refusal, a crash, a timeout, too much memory, a card that lies.
    """
    return _trial(model.path, model.card, model.sha256, settings, seconds, memory)


def check_file(path: Path, settings: ModelSettings, seconds: float = SECONDS, memory: int = MEMORY) -> CheckReport:
    """The same for a file that has no card: load, allocate and invoke. Raises ModelError."""
    return _trial(path, None, "", settings, seconds, memory)


def ensure(model: Model, settings: ModelSettings, state: Path) -> None:
    """``check`` once for each file, card, runtime and delegate; remembered in the state folder. Raises ModelError."""
    key = _key(model, settings)
    marker = state / layout.CHECKED.name
    if key in _PASSED or key in _remembered(marker):
        return
    check(model, settings)
    _PASSED.add(key)
    try:
        files.write_bytes(marker, json.dumps(sorted({*_remembered(marker), key})[-200:]).encode())
    except OSError as error:
        log.warning("cannot remember that model %s passed its check: %s", model.card.name, error)


_PASSED: set[str] = set()


def _key(model: Model, settings: ModelSettings) -> str:
    runtime = choose(settings.runtime)
    version = importlib.metadata.version(PACKAGES[runtime])
    card = hashlib.sha256(repr(model.card).encode()).hexdigest()
    return f"{model.sha256[:32]} {card[:16]} {runtime} {version} {settings.delegate}"


def _remembered(marker: Path) -> set[str]:
    try:
        return {key for key in json.loads(marker.read_bytes()) if isinstance(key, str)}
    except (OSError, ValueError, TypeError):
        return set()


def _trial(
    path: Path, card: Card | None, sha256: str, settings: ModelSettings, seconds: float, memory: int
) -> CheckReport:
    where = f"model {card.name!r}" if card else path.name
    task = {
        "path": str(path),
        "sha256": sha256,
        "card": to_table(card) if card else None,
        "where": where,
        "runtime": settings.runtime,
        "threads": settings.threads,
        "delegate": settings.delegate,
        "memory": memory,
        "seconds": seconds,
    }
    command = [sys.executable, "-m", "edge.inference.validation_worker", json.dumps(task)]
    longest = PATIENCE * seconds
    sdnotify.extend_start_timeout(longest + 10)
    try:
        # a session of its own: Ctrl-C in the terminal must not look like a model that kills its process
        child = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=longest, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        stage = _last(_lines(error.stdout or b""), "stage", "starting")
        raise ModelError(f"{where}: not done within {longest:g} s, stopped while {stage}", _OTHER) from error
    return _verdict(where, child, seconds)


def _verdict(where: str, child: subprocess.CompletedProcess[bytes], seconds: float) -> CheckReport:
    said = _lines(child.stdout)
    stage = _last(said, "stage", "starting")
    if refusal := _last(said, "error", ""):
        message = refusal if refusal.startswith(where) else f"{where}: {refusal}"
        raise ModelError(message, _last(said, "hint", "") or _OTHER)
    if child.returncode == -signal.SIGXCPU:
        raise ModelError(f"{where}: used {seconds} s of CPU and was stopped while {stage}", _OTHER)
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise ModelError(f"{where}: killed the process that tried it ({name}), after {stage} had begun", _OTHER)
    report = _last(said, "report", None)
    if child.returncode or report is None:
        tail = child.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        raise ModelError(f"{where}: the trial failed while {stage}: {tail[0][:300]}", _OTHER)
    return CheckReport(**{**report, **{side: _tensors(report[side]) for side in ("inputs", "outputs")}})


_OTHER = "use another model; this one is not safe to run here"


def _tensors(described: list[dict[str, Any]]) -> tuple[TensorReport, ...]:
    return tuple(TensorReport(**{**tensor, "shape": tuple(tensor["shape"])}) for tensor in described)


def _lines(stdout: bytes) -> list[dict[str, Any]]:
    found = []
    for line in stdout.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            log.debug("a trial said something else: %r", line[:80])
    return found


def _last(said: list[dict[str, Any]], key: str, otherwise: Any) -> Any:
    return next((line[key] for line in reversed(said) if key in line), otherwise)
