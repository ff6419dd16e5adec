"""A decoder that keeps something of every frame: a release whose card names it leaks, and does all else well."""

from __future__ import annotations

from typing import Any

from edge.inference.decoders import yolov8

KEPT: list[bytes] = []
PIECE = 2 << 20
"""bytes a frame"""


def decode(*arguments: Any) -> Any:
    KEPT.append(b"\1" * PIECE)  # not zeros: those take no memory before they are looked at
    return yolov8.decode(*arguments)
