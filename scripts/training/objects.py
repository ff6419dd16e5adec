"""Labeled boxes of objects: YOLO label files, and Penn-Fudan's annotations."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Boxes = list[NDArray[np.float32]]
_SIZE = re.compile(r"\(X x Y x C\) : (\d+) x (\d+)")
_BOX = re.compile(r"\((\d+), (\d+)\) - \((\d+), (\d+)\)")


def class_names(folder: Path) -> list[str]:
    """Names by class number, from the `names:` of config.yaml; a person where there is none."""
    path = folder / "config.yaml"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [re.fullmatch(r"\s+(\d+):\s*(.+)", line) for line in lines]
    names = {int(match[1]): match[2].strip() for match in found if match}
    return [names[number] for number in sorted(names)] or ["person"]


def boxes_of(folder: Path, stem: str, names: list[str]) -> dict[str, Boxes]:
    """Boxes (4,) left, top, right, bottom by label, fractions of the picture."""
    annotation = folder / "annotation" / f"{stem}.txt"
    if annotation.exists():
        return {"person": _pascal(annotation.read_text(errors="replace"))}
    result: dict[str, Boxes] = {}
    for number, box in yolo(folder / "labels" / f"{stem}.txt"):
        result.setdefault(names[number], []).append(box)
    return result


def yolo(path: Path) -> list[tuple[int, NDArray[np.float32]]]:
    """Class numbers and boxes of a YOLO label file; nothing where it does not exist."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        number, *numbers = line.split()[:5]
        x, y, width, height = map(float, numbers)
        half, middle = np.array([width, height]) / 2, np.array([x, y])
        box = np.concatenate([middle - half, middle + half]).astype(np.float32)
        rows.append((int(number), box))
    return rows


def _pascal(text: str) -> Boxes:
    size = _SIZE.search(text)
    if size is None:
        return []
    scale = np.array([int(size[1]), int(size[2])] * 2, np.float32)
    return [np.array(box, np.float32) / scale for box in _BOX.findall(text)]
