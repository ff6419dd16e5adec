"""Model validation in a child process: an invalid file can crash the process that loads it."""

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
"""maximum address space of a validation, bytes"""
SECONDS = 60
"""maximum CPU time of a validation, seconds"""
PATIENCE = 5
"""wall-clock limit as a multiple of the CPU limit, for a busy machine"""
PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


@dataclass(frozen=True)
class TensorReport:
    """An input or output after inference."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    low: float = 0.0
    """outputs: minimum and maximum real value for random input"""
    high: float = 0.0


@dataclass(frozen=True)
class CheckReport:
    """Result of a validation."""

    engine: str
    fallback: str
    """reason for the CPU fallback from a configured delegate; empty: none"""
    load_ms: float
    invoke_ms: float
    """fastest of several inferences with ``models.threads``, milliseconds"""
    peak_mb: float
    """peak resident memory of the child process"""
    inputs: tuple[TensorReport, ...]
    outputs: tuple[TensorReport, ...]


def check(model: Model, settings: ModelSettings, seconds: float = SECONDS, memory: int = MEMORY) -> CheckReport:
    """Load, allocate and invoke a model in a child process, and run it through its card.

    Raises ModelError for a rejected model, a crash, a timeout, too much memory, a card that does not match.
    """
    return _trial(model.path, model.card, model.sha256, settings, seconds, memory)


def check_file(path: Path, settings: ModelSettings, seconds: float = SECONDS, memory: int = MEMORY) -> CheckReport:
    """``check`` for a file without a card: load, allocate and invoke. Raises ModelError."""
    return _trial(path, None, "", settings, seconds, memory)


def ensure(model: Model, settings: ModelSettings, state: Path) -> None:
    """``check`` once per file, card, runtime and delegate; cached in the state folder. Raises ModelError."""
    key = _key(model, settings)
    marker = state / layout.CHECKED.name
    if key in _PASSED or key in _remembered(marker):
        return
    check(model, settings)
    _PASSED.add(key)
    try:
        files.write_bytes(marker, json.dumps(sorted({*_remembered(marker), key})[-200:]).encode())
    except OSError as error:
        log.warning("cannot cache that model %s passed its check: %s", model.card.name, error)


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
        # own session: Ctrl-C in the terminal must not look like a crash of the model
        child = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=longest, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        stage = _last(_lines(error.stdout or b""), "stage", "starting")
        raise ModelError(f"{where}: not done within {longest:g} s, stopped while {stage}", _OTHER) from error
    return _verdict(where, child, seconds)


def _verdict(where: str, child: subprocess.CompletedProcess[bytes], seconds: float) -> CheckReport:
    messages = _lines(child.stdout)
    stage = _last(messages, "stage", "starting")
    if refusal := _last(messages, "error", ""):
        message = refusal if refusal.startswith(where) else f"{where}: {refusal}"
        raise ModelError(message, _last(messages, "hint", "") or _OTHER)
    if child.returncode == -signal.SIGXCPU:
        raise ModelError(f"{where}: used {seconds} s of CPU and was stopped while {stage}", _OTHER)
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise ModelError(f"{where}: crashed the validation process ({name}) while {stage}", _OTHER)
    report = _last(messages, "report", None)
    if child.returncode or report is None:
        tail = child.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        raise ModelError(f"{where}: the validation failed while {stage}: {tail[0][:300]}", _OTHER)
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
            log.debug("unexpected output of a validation: %r", line[:80])
    return found


def _last(messages: list[dict[str, Any]], key: str, otherwise: Any) -> Any:
    return next((line[key] for line in reversed(messages) if key in line), otherwise)
