"""Writes model cards: TOML from plain tables."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LICENCE = "Apache-2.0"
FILE = "model.tflite"


def write(folder: Path, table: Mapping[str, Any]) -> None:
    """Write card.toml for the model.tflite in a folder, its digest and size included."""
    content = (folder / FILE).read_bytes()
    head = {
        "name": folder.name,
        "kind": table["kind"],
        "file": FILE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "licence": LICENCE,
    }
    partial = folder / "card.toml.partial"
    partial.write_text(render({**head, **table}))
    partial.replace(folder / "card.toml")


def render(table: Mapping[str, Any], prefix: str = "") -> str:
    """A table and the tables in it as TOML; plain values come first."""
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{key}"
            body = render(value, f"{name}.")
            header = f"[{name}]\n" if any(not isinstance(v, Mapping) for v in value.values()) else ""
            text += f"\n{header}{body}" if header else body
    return text


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def provenance(options: argparse.Namespace, steps: int, size: int, minutes: float) -> dict[str, Any]:
    """Data, the weights it began with, seed, commit, date and how long it was trained."""
    labels = hashlib.sha256((options.data / "faces.csv").read_bytes()).hexdigest()
    begun: dict[str, Any] = {}
    if options.start:
        digest = hashlib.sha256(options.start.read_bytes()).hexdigest()
        begun["begun_from"] = f"{options.start.name} (sha256 {digest[:12]})"
    return {
        "data": f"{options.data.name} (faces.csv sha256 {labels[:12]}), 9 of 10 people by hash of the name",
        **begun,
        "seed": options.seed,
        "steps": steps,
        "batch": size,
        "minutes": round(minutes, 1),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
    }


def commit() -> str:
    """The checkout's commit, with a mark where the trainer's own files differ from it."""
    here = Path(__file__).parents[1]
    run = {"cwd": here, "capture_output": True, "text": True, "check": False}
    name = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **run).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--", "."], **run).stdout.strip()
    return f"{name or 'unknown'}{' with changes' if changed else ''}"
