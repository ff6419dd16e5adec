"""Comparison of two benchmark reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, float, float, float | None]]:
    """Each figure that differs between two reports: (path, old, new, new / old); the ratio is None for old 0."""
    before, after = dict(_figures(old)), dict(_figures(new))
    return [
        (path, before[path], now, round(now / before[path], 3) if before[path] else None)
        for path, now in after.items()
        if path in before and before[path] != now
    ]


def _figures(report: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{path}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{path}{name}", float(value)
