"""Tests and scripts run on Python 3.10 as well, like the package, which mypy holds to that version."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LATER = re.compile(
    r"^import tomllib"
    r"|^from typing import .*\b(Self|assert_never|LiteralString|Never|Required|NotRequired|override)\b"
    r"|^from datetime import .*\bUTC\b|^from enum import .*\bStrEnum\b"
    r"|\basyncio\.(timeout|TaskGroup|Runner)\(|\bExceptionGroup\b|\bexcept\*|\bcontextlib\.chdir\b|\bhashlib\.file_digest\b",
    re.MULTILINE,
)
"""what Python has since 3.11 or later; not in an indented import, which chooses by version"""


def test_tests_and_scripts_use_nothing_that_python_3_10_lacks() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    files += [path for path in (ROOT / "scripts").rglob("*") if path.is_file() and path.suffix in ("", ".py")]
    assert len(files) > 300

    found = {
        str(path.relative_to(ROOT)): one[0]
        for path in files
        if (one := LATER.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}
