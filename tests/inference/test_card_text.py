"""Cards as text."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge.core.compat import tomllib
from edge.inference.card import dumps

TEXT = st.characters(exclude_categories=("Cs",))
KEYS = st.text(TEXT, min_size=1, max_size=8)
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.text(TEXT) | st.booleans() | NUMBERS
LISTS = st.lists(PLAIN, max_size=3) | st.lists(st.dictionaries(KEYS, PLAIN), max_size=2)
TABLES = st.recursive(
    st.dictionaries(KEYS, PLAIN | LISTS, max_size=4),
    lambda children: st.dictionaries(KEYS, PLAIN | children, max_size=4),
    max_leaves=8,
)


@given(TABLES)
def test_a_table_written_and_read_is_the_same_table(table: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(table)) == table


def test_half_a_character_does_not_break_the_file() -> None:
    assert tomllib.loads(dumps({"name": "a\ud800b"}))["name"].startswith("a")
