from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import subjects
from edge.core.errors import InputError


@pytest.mark.parametrize("name", ["alice", "Grace Hopper", "Mário", "小林", "🙂", "a" * 255, "...", ".hidden", " x "])
def test_names_of_people_are_taken_as_they_are(name: str) -> None:
    assert subjects.checked(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "a\nb", "a\0b", "\x7f", "\x85", "\u2028", "\ud800", "a" * 256, "a" * 10_000],
)
def test_names_that_could_do_harm_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(InputError) as refused:
        subjects.checked(name)
    assert "1 to 255 characters" in refused.value.message
    assert len(refused.value.message) < 300
    assert refused.value.hint
    refused.value.message.encode()


@given(st.text(max_size=300))
def test_every_name_that_is_taken_can_be_a_file_name(name: str) -> None:
    try:
        taken = subjects.checked(name)
    except InputError:
        return
    assert taken == subjects.composed(name)
    assert not set(name) & {"/", "\\", "\0", "\n"}
    assert name not in ("", ".", "..")
    name.encode()


DECOMPOSED, COMPOSED = "Zoe\u0308 Mo\u0308ller", "Zo\u00eb M\u00f6ller"


def test_a_name_is_one_name_in_every_normalization() -> None:
    assert subjects.checked(DECOMPOSED) == subjects.checked(COMPOSED) == COMPOSED
    assert set(subjects.forms(COMPOSED)) == set(subjects.forms(DECOMPOSED)) == {COMPOSED, DECOMPOSED}
    assert subjects.forms("grace") == ("grace",)


@pytest.mark.parametrize("character", ["\u202e", "\u2066"])
def test_a_name_that_looks_like_another_is_refused(character: str) -> None:
    with pytest.raises(InputError, match="bidirectional"):
        subjects.checked(f"ann{character}a")


@pytest.mark.parametrize(
    ("data", "name"),
    [("Zoë Möller".encode(), "Zoë Möller"), ("李小龍".encode(), "李小龍"), (b"M\xfcller", "Müller")],
    ids=["UTF-8", "Chinese", "Latin-1"],
)
def test_a_folder_whose_name_the_locale_cannot_read_names_its_subject(data: bytes, name: str) -> None:
    assert subjects.checked(data.decode("ascii", "surrogateescape")) == name
