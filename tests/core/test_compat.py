"""The package, its tests and its scripts use nothing that Python 3.10 (Ubuntu 22.04, JetPack 6) lacks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LATER = re.compile(
    r"^import tomllib"
    r"|^from typing import .*\b(Self|assert_never|LiteralString|Never|Required|NotRequired|override)\b"
    r"|^from datetime import .*\bUTC\b|^from enum import .*\bStrEnum\b"
    r"|\br?glob\([^)]*/[\"']\)"
    r"|\basyncio\.(timeout|TaskGroup|Runner)\(|\bExceptionGroup\b|\bexcept\*|\bcontextlib\.chdir\b|\bhashlib\.file_digest\b",
    re.MULTILINE,
)
"""what Python has since 3.11 or later (3.10 globs files for "*/"); an indented import chooses by version"""


def test_nothing_is_used_that_python_3_10_lacks() -> None:
    files = [path for room in ("edge", "tests") for path in (ROOT / room).rglob("*.py") if path != Path(__file__)]
    files += [path for path in (ROOT / "scripts").rglob("*") if path.is_file() and path.suffix in ("", ".py")]
    assert len(files) > 300

    found = {
        str(path.relative_to(ROOT)): one[0]
        for path in files
        if (one := LATER.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}
