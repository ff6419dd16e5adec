"""Buckets: what lies outside is the same as what is not there, and what is written is whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.core.storage.buckets import PARTIAL, Buckets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bucket with files, links that lead out, a pipe and a secret beside it."""
    (tmp_path / "secret").write_text("secret")
    bucket = tmp_path / "photos"
    (bucket / "a/b").mkdir(parents=True)
    (bucket / "a/b/one.jpg").write_bytes(b"one")
    (bucket / "two.jpg").write_bytes(b"two")
    (bucket / "link").symlink_to(tmp_path / "secret")
    (bucket / "out").symlink_to(tmp_path)
    (bucket / "within").symlink_to(bucket / "a")
    os.mkfifo(bucket / "pipe")
    return tmp_path


OUTSIDE = [
    "../secret", "a/../../secret", "/etc/passwd", "link", "out/secret", "within/b/one.jpg", "pipe", "a", "a/", "",
    ".", "..", "a//b/one.jpg", "./two.jpg", "two.jpg/x", "x" * 300, "x/" * 600 + "x", "\0", "two.jpg\0", "\ud800",
    "nothing", "nothing/at/all", f"{PARTIAL}00",
]  # fmt: skip


@pytest.mark.parametrize("key", OUTSIDE)
def test_every_way_out_is_not_there(root: Path, key: str) -> None:
    buckets = Buckets({"photos": root / "photos"})
    for look in (buckets.open, buckets.path, buckets.about):
        with pytest.raises(NotFoundError) as caught:
            look("photos", key)
        assert str(root) not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "secret", "../photos", "a", "ab", ".hidden", "photos/a", "\0", "*", "x" * 300]
)
def test_a_name_that_is_no_bucket_is_not_there(root: Path, name: str) -> None:
    for buckets in (Buckets({"photos": root / "photos"}), Buckets({"*": root})):
        assert not buckets.has(name)
        with pytest.raises(NotFoundError):
            buckets.open(name, "two.jpg")


def test_a_root_holds_the_buckets_that_have_no_folder_of_their_own(root: Path) -> None:
    buckets = Buckets({"*": root, "named": root / "photos/a"})
    assert buckets.names() == ["named", "photos"]
    buckets.create("new-one")
    with pytest.raises(ConflictError):
        buckets.create("new-one")
    for name in ("..", "a b", "../x"):
        with pytest.raises(InputError):
            buckets.create(name)
    with buckets.writing("new-one", "x/y.txt") as file:
        file.write(b"y")
    with pytest.raises(ConflictError, match="not empty"):
        buckets.delete("new-one")
    buckets.remove("new-one", "x/y.txt")
    buckets.remove("new-one", "x/y.txt")
    buckets.delete("new-one")
    assert buckets.names() == ["named", "photos"]
    with pytest.raises(ConflictError):
        buckets.delete("named")


def test_what_is_not_written_to_its_end_is_not_there(root: Path) -> None:
    buckets = Buckets({"photos": root / "photos"})
    with suppress(RuntimeError), buckets.writing("photos", "two.jpg") as file:
        file.write(b"half")
        raise RuntimeError
    assert buckets.open("photos", "two.jpg").read() == b"two"
    assert [one.name for one in (root / "photos").iterdir() if one.name.startswith(PARTIAL)] == []


@pytest.mark.parametrize("key", ["link", "out/x", "../x", "a//x", "pipe/x", ""])
def test_nothing_is_written_outside(root: Path, key: str) -> None:
    buckets = Buckets({"photos": root / "photos"})
    if key == "link":  # the link itself is replaced, not what it points to
        with buckets.writing("photos", key) as file:
            file.write(b"x")
    else:
        with pytest.raises(NotFoundError), buckets.writing("photos", key) as file:
            file.write(b"x")
    assert (root / "secret").read_text() == "secret"
    assert not (root / "x").exists()


def test_objects_are_listed_by_key_without_what_leads_out(root: Path) -> None:
    buckets = Buckets({"photos": root / "photos"})
    (root / "photos/a.txt").write_bytes(b"")
    assert [one.key for one in buckets.listed("photos")] == ["a.txt", "a/b/one.jpg", "two.jpg"]
    assert [one.key for one in buckets.listed("photos", "a/")] == ["a/b/one.jpg"]
    assert [one.key for one in buckets.listed("photos", "a/b/on")] == ["a/b/one.jpg"]
    assert [one.key for one in buckets.listed("photos", after="a/b/one.jpg")] == ["two.jpg"]
    assert [one.size for one in buckets.listed("photos", "t")] == [3]


@given(st.lists(st.text("ab./-", min_size=1, max_size=6), unique=True, max_size=12), st.text("ab/", max_size=3))
def test_any_listing_is_sorted_and_complete(keys: list[str], after: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        buckets = Buckets({"b": Path(folder)})
        written = set()
        for key in keys:
            try:
                with buckets.writing("b", key) as file:
                    file.write(b"x")
                written.add(key)
            except (NotFoundError, OSError):
                continue
        assert [one.key for one in buckets.listed("b", after=after)] == sorted(key for key in written if key > after)
