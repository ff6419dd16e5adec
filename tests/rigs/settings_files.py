"""A configuration for the real program: the shipped models, footage made from the sample portraits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.core.settings import template as config_file

DETECTOR, EMBEDDER = "edge-face-detector-2", "edge-face-embedder-1"
CAMERA = {
    "name": "door",
    "source": "synthetic",
    "detectors": [DETECTOR],
    "fps": 5.0,
    "realtime": False,
    "width": 640,
    "height": 360,
}


def write(folder: Path, models: Path | None = None, camera: dict[str, Any] | None = None, /, **settings: Any) -> Path:
    """The file, with its state folder beside it; ``camera`` and ``settings`` change what is usual.

    ``models``: a folder with more models than the shipped ones.
    """
    values: dict[str, Any] = {
        "state": str(folder / "state"),
        "device": {"name": "porch"},
        "models": {"path": [str(models)] if models else [], "threads": 1},
        "labels": {"face": {"embedder": EMBEDDER, "collection": "faces"}},
        "outbox": {"commit_seconds": 0.0},
        "cameras": [CAMERA | (camera or {})],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "edge.toml"
    path.write_text(config_file.written(values | settings), encoding="utf-8")
    return path
