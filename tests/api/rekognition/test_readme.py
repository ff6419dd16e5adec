"""The README's table of operations is the code's."""

from __future__ import annotations

import re
from pathlib import Path

from edge.api.rekognition.operations.table import NOT_HERE, OPERATIONS

README = Path(__file__).parents[3] / "README.md"


def test_the_table_of_operations_says_what_the_code_says() -> None:
    section = README.read_text(encoding="utf-8").split("## Rekognition operations")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (same|partial|not here) \| (.*?) ?\|$", section, re.MULTILINE)

    told = {name: (status, note) for names, status, note in rows for name in names.split(", ")}
    expected = {name: (operation.status, operation.note) for name, operation in OPERATIONS.items()}
    expected |= {name: ("not here", reason) for name, reason in NOT_HERE.items()}
    assert told == expected


def test_what_is_partial_says_what_is_missing() -> None:
    assert all(bool(operation.note) == (operation.status == "partial") for operation in OPERATIONS.values())
