"""Values and files that are sealed: opened by their key in their place alone, and as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import SettingsError, StoreError
from edge.core.settings import loader as config
from edge.core.storage import keys as vault_keys
from edge.core.storage import sealed_files as vault_files
from edge.core.storage import vault
from edge.core.storage.keys import EncryptionKey
from edge.core.storage.vault import MAGIC, PLAIN, Opening, Sealing

TEXTS = [vault_keys.new_key(), vault_keys.new_key()]


def keys(*texts: str) -> list[EncryptionKey]:
    vault_keys.use("\n".join(texts))
    found = list(vault_keys.known().values())
    vault_keys.use("")
    return found


ONE, OTHER = (Sealing(key) for key in keys(*TEXTS))
PLACES = st.tuples(st.text(), st.one_of(st.integers(), st.text(), st.none(), st.floats(allow_nan=False)))


@given(st.binary(), PLACES)
def test_what_is_sealed_opens_in_its_place(data: bytes, place: tuple) -> None:
    blob = ONE.seal(data, *place)
    assert ONE.open(blob, *place) == data
    assert len(data) < 8 or data not in blob
    if not data.startswith(MAGIC):  # plain data that looks sealed is refused, once in four billion embeddings
        assert PLAIN.open(PLAIN.seal(data, *place), *place) == data


@given(st.binary(), PLACES, PLACES)
def test_and_in_no_other(data: bytes, place: tuple, elsewhere: tuple) -> None:
    if repr(place) != repr(elsewhere):
        with pytest.raises(StoreError, match="damaged, or was moved"):
            ONE.open(ONE.seal(data, *place), *elsewhere)


@given(st.binary(), st.data())
def test_one_changed_bit_is_noticed(data: bytes, draw: st.DataObject) -> None:
    blob = bytearray(ONE.seal(data, "place"))
    at = draw.draw(st.integers(0, 8 * len(blob) - 1))
    blob[at // 8] ^= 1 << at % 8
    with pytest.raises(StoreError):
        ONE.open(bytes(blob), "place")


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_name_is_sealed_to_the_same_bytes_and_two_names_to_others(name: str, other: str) -> None:
    assert ONE.named(ONE.name(name)) == name
    assert (ONE.name(name) == ONE.name(other)) == (name == other)
    assert ONE.name(name) != OTHER.name(name)
    assert ONE.name(None) is ONE.named(None) is None


def test_one_keys_values_are_not_anothers_nor_plain_ones() -> None:
    for wrong in (OTHER.seal(b"x", "p"), b"x", "x"):
        with pytest.raises(StoreError, match="not encrypted with key"):
            ONE.open(wrong, "p")
    with pytest.raises(StoreError, match="this folder is not"):
        PLAIN.open(ONE.seal(b"x", "p"), "p")
    with pytest.raises(StoreError, match="this folder is not"):
        PLAIN.named(ONE.name("x"))


def test_the_same_value_is_never_sealed_to_the_same_bytes() -> None:
    assert len({ONE.seal(b"x", "p") for _ in range(100)}) == 100


def test_during_a_change_every_known_key_opens_and_plain_values_pass() -> None:
    vault_keys.use("\n".join(TEXTS))
    opening = Opening()
    assert [opening.open(one, "p") for one in (ONE.seal(b"x", "p"), OTHER.seal(b"y", "p"), b"z")] == [b"x", b"y", b"z"]
    assert [opening.named(one) for one in (ONE.name("x"), OTHER.name("y"), "z", None)] == ["x", "y", "z", None]
    vault_keys.use(TEXTS[0])
    with pytest.raises(SettingsError, match=OTHER.key.name):
        Opening().open(OTHER.seal(b"y", "p"), "p")
    vault_keys.use("")


@pytest.mark.parametrize(
    "text", ["password", TEXTS[0][:-1], f"{TEXTS[0]}\nx", "é" * 44], ids=["word", "short", "more", "letters"]
)
def test_what_is_no_key_is_refused_and_not_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_ENCRYPTION__KEY", text)
    with pytest.raises(SettingsError, match="edge encryption key") as refused:
        config.read()
    assert text[:8] not in str(refused.value)


def test_the_id_of_a_key_is_its_own_and_tells_nothing_of_it() -> None:
    assert ONE.key.name != OTHER.key.name
    assert [key.name for key in keys(*reversed(TEXTS))] == [OTHER.key.name, ONE.key.name]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 2, "key": "", "changing": false}'])
def test_a_mark_that_cannot_be_read_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / vault.FILE).write_text(text)
    with pytest.raises(StoreError, match=r"encryption\.json"):
        vault.of(tmp_path)


SIZES = [0, 1, vault_files.PIECE - 1, vault_files.PIECE, vault_files.PIECE + 1, 3 * vault_files.PIECE]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_opens_as_it_was_sealed(tmp_path: Path, size: int) -> None:
    plain, sealed, again = (tmp_path / name for name in ("plain", "sealed", "again"))
    plain.write_bytes(os.urandom(size))
    vault_files.write(plain, sealed, ONE.key, "sealed")
    vault_files.read(sealed, again, ONE.key, "sealed")
    assert again.read_bytes() == plain.read_bytes()
    assert vault_files.is_sealed(sealed)
    assert sealed.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_cut_exchanged_or_put_together_anew_is_refused(tmp_path: Path) -> None:
    plain, sealed, bad = (tmp_path / name for name in ("plain", "sealed", "bad"))
    plain.write_bytes(os.urandom(3 * vault_files.PIECE))
    vault_files.write(plain, sealed, ONE.key, "sealed")
    data = sealed.read_bytes()
    head, step = vault.HEAD + vault_files.SALT, vault_files.PIECE + vault_files.TAG
    pieces = [data[head + i * step : head + (i + 1) * step] for i in range(3)]
    for damaged in (
        b"", data[:head], data[:-1], data[: head + step], data + b"x", data[:head] + pieces[1] + pieces[0] + pieces[2],
        data[:head] + pieces[0] + pieces[2], data[: head + 5] + b"?" + data[head + 6 :],
    ):  # fmt: skip
        bad.write_bytes(damaged)
        with pytest.raises(StoreError):
            vault_files.read(bad, tmp_path / "again", ONE.key, "sealed")
    for key, place in ((OTHER.key, "sealed"), (ONE.key, "another")):
        with pytest.raises(StoreError):
            vault_files.read(sealed, tmp_path / "again", key, place)
