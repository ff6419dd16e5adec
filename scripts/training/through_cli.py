"""Identification by the commands that a user types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from training import data, judging

COLLECTION = "evaluation"


def identification(
    folder: Path, strangers: set[str], gallery: int, detector: str, embedder: str
) -> judging.Identification:
    """Enroll the first pictures of everybody known, search for all others, in a state of its own."""
    models = ["--detector", detector, "--embedder", embedder, "--json"]
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        _lay_out(folder, strangers, gallery, work)
        _edge(work, "enroll", COLLECTION, str(work / "gallery"), *models)
        found = _edge(work, "search", COLLECTION, str(work / "probes"), "--limit", "1", *models)
    known, unknown = [], []
    for image in found["images"]:
        person = Path(image["path"]).parent.name
        subject, score = _best(image["faces"])
        if person in strangers:
            unknown.append(score)
        else:
            known.append((subject == person, score))
    return judging.identify(known, unknown)


def _lay_out(folder: Path, strangers: set[str], gallery: int, work: Path) -> None:
    """Links to the pictures: gallery/PERSON and probes/PERSON."""
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        for number, path in enumerate(data.picture_files(person)):
            enrolled = person.name not in strangers and number < gallery
            target = work / ("gallery" if enrolled else "probes") / person.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())


def _edge(work: Path, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "STATE_DIRECTORY": str(work / "state")}
    command = [sys.executable, "-m", "edge", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"error: {' '.join(command)} failed: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _best(faces: list[dict[str, Any]]) -> tuple[str | None, float]:
    """Subject and cosine of the nearest match of the face nearest to the picture's middle."""

    def away(face: dict[str, Any]) -> float:
        box = face["box"]
        across, down = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
        return float((across - 0.5) ** 2 + (down - 0.5) ** 2)

    for face in sorted(faces, key=away)[:1]:
        for match in face["matches"][:1]:
            return match["subject"], match["cosine"]
    return None, judging.MISSING
