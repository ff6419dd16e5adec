"""Zip file for a bug report: findings, settings, versions and recent log, without secrets, names or faces."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from edge import __version__
from edge.cli.doctor.finding import DoctorContext, Finding
from edge.core.credentials import mask_credentials
from edge.core.errors import EdgeError, StoreError
from edge.core.settings.address import SecretAddress
from edge.core.storage import vault
from edge.core.storage.sqlite import connect_read_only
from edge.core.system import hardware as board
from edge.recognition.store.store import FILE

LINES = 1000
"""of the log, at most"""
PACKAGES = ("ai-edge-litert", "tflite-runtime", "annoy", "numpy", "paho-mqtt", "av", "opencv-python-headless", "tuf")
COVERED = "***"


def write(path: Path, context: DoctorContext, findings: Sequence[Finding]) -> list[str]:
    """Write the zip file. Returns the names of its members. Raises StoreError."""
    subjects = _subjects(context.state)
    hidden = sorted({*_secrets(context.settings), *(subjects or ())}, key=len, reverse=True)
    parts = {
        "findings.json": json.dumps([asdict(finding) for finding in findings], indent=1),
        "settings.json": json.dumps(context.settings.model_dump(), indent=1, default=str),
        "versions.json": json.dumps(_versions(), indent=1),
        "state.txt": "\n".join(_listing(context.state)),
        "log.txt": _log(context.unit) if subjects is not None else "left out: names in it could not be masked",
    }
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in parts.items():
                bundle.writestr(name, _cleaned(text, hidden))
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}",
            "choose a file in a writable folder: /tmp/report.zip",
        ) from error
    return list(parts)


def _cleaned(text: str, hidden: Sequence[str]) -> str:
    text = "\n".join(mask_credentials(line) for line in text.splitlines())
    for secret in hidden:
        text = text.replace(secret, COVERED).replace(json.dumps(secret)[1:-1], COVERED)
    return text


def _secrets(value: Any) -> Iterator[str]:
    """Every secret in the settings."""
    if isinstance(value, SecretAddress):
        parts = value.parts
        yield from filter(None, {parts.user or "", parts.password, (parts.user or "").partition(":")[2]})
    elif isinstance(value, SecretStr):
        yield from filter(None, {value.get_secret_value(), *value.get_secret_value().splitlines()})
    elif hasattr(value, "model_fields_set"):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from _secrets(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _secrets(one)


def _subjects(state: Path) -> list[str] | None:
    """Names of subjects, to mask in the log, except very short ones. None: encrypted without a key."""
    path = state / FILE
    if not path.exists():
        return []
    try:
        opened = vault.of(state)
        with closing(connect_read_only(path)) as db:
            rows = db.execute("SELECT DISTINCT subject FROM faces WHERE subject IS NOT NULL").fetchall()
        return [name for (value,) in rows if len(name := opened.named(value) or "") > 2]
    except sqlite3.Error:
        return []
    except EdgeError:
        return None


def _versions() -> dict[str, str]:
    found = {"edge": __version__, "python": platform.python_version(), "system": platform.platform()}
    found["board"] = board.model()
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _listing(state: Path) -> Iterator[str]:
    """Names, sizes and modes of files, without content."""
    for path in sorted(state.rglob("*"))[:2000]:
        found = path.lstat()
        yield f"{found.st_mode & 0o7777:04o} {found.st_size:12d} {path.relative_to(state)}"


def _log(unit: str) -> str:
    if not shutil.which("journalctl"):
        return "journalctl is not installed"
    command = ["journalctl", "-u", unit, "-n", str(LINES), "--no-pager", "-o", "short-iso"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    except subprocess.TimeoutExpired:
        return "the journal did not answer"
