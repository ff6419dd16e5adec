"""Downloads: resumed, bounded, verified, whole or not there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.file_server import FileServer, serving

from edge.core.errors import InputError, NotFoundError, StoreError, TransientError
from edge.core.system.download import DownloadRequest, fetch

BODY = random.Random(1).randbytes(300_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files["/model"] = BODY
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "model.tflite"


def wanted(server: FileServer, sha256: str = DIGEST, **limits: int) -> DownloadRequest:
    return DownloadRequest(f"{server.url}/model", sha256, **limits)


def test_a_file_arrives_whole_and_progress_is_told(server: FileServer, target: Path) -> None:
    told: list[tuple[int, int]] = []

    fetch(wanted(server), target, lambda have, total: told.append((have, total)))

    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_download_that_stops_goes_on_where_it_stopped(server: FileServer, target: Path) -> None:
    server.stop_after = 100_000

    with pytest.raises(TransientError, match=r"stopped after 100,000 of 300,000 bytes") as caught:
        fetch(wanted(server), target)
    assert "again" in caught.value.hint
    assert not target.exists()

    server.stop_after = None
    fetch(wanted(server), target)

    assert target.read_bytes() == BODY
    assert server.asked == ["", "bytes=100000-"]
    assert server.sent == len(BODY)


def test_a_server_that_knows_no_ranges_is_asked_for_all_of_it_again(server: FileServer, target: Path) -> None:
    server.stop_after = 100_000
    with pytest.raises(TransientError):
        fetch(wanted(server), target)
    server.stop_after, server.ranges = None, False

    fetch(wanted(server), target)

    assert target.read_bytes() == BODY


def test_a_part_that_is_whole_already_is_only_verified(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("model.tflite.part").write_bytes(BODY)

    fetch(wanted(server), target)

    assert target.read_bytes() == BODY
    assert server.sent == 0


@pytest.mark.parametrize("stale", [b"other bytes" * 100, BODY + b"and more"])
def test_a_part_of_another_file_never_becomes_the_file(server: FileServer, target: Path, stale: bytes) -> None:
    target.parent.mkdir()
    target.with_name("model.tflite.part").write_bytes(stale)

    with pytest.raises(InputError, match="expected sha256"):
        fetch(wanted(server), target)
    assert list(target.parent.iterdir()) == []

    fetch(wanted(server), target)
    assert target.read_bytes() == BODY


def test_other_bytes_than_wanted_are_refused_and_nothing_stays(server: FileServer, target: Path) -> None:
    server.files["/model"] = BODY[:-1] + b"x"

    with pytest.raises(InputError, match=f"expected sha256 {DIGEST}"):
        fetch(wanted(server), target)

    assert list(target.parent.iterdir()) == []


def test_what_is_not_there_is_not_found(server: FileServer, target: Path) -> None:
    with pytest.raises(NotFoundError, match="404"):
        fetch(DownloadRequest(f"{server.url}/nothing", DIGEST), target)

    assert not target.exists()


@pytest.mark.parametrize("status", [500, 503, 403])
def test_a_server_in_trouble_may_work_later(server: FileServer, target: Path, status: int) -> None:
    server.status = status

    with pytest.raises(TransientError, match=str(status)):
        fetch(wanted(server), target)


def test_a_server_that_is_not_there_may_work_later(target: Path) -> None:
    with pytest.raises(TransientError, match="refused"):
        fetch(DownloadRequest("http://127.0.0.1:9/model", DIGEST), target)


@pytest.mark.parametrize("tells_length", [True, False])
def test_more_bytes_than_allowed_are_not_written(server: FileServer, target: Path, tells_length: bool) -> None:
    server.tells_length = tells_length

    with pytest.raises(InputError, match="more than 200,000 bytes"):
        fetch(wanted(server, most_bytes=200_000), target)

    assert not target.exists()
    assert target.with_name("model.tflite.part").stat().st_size == 0


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "model.tflite", ""])
def test_other_addresses_than_http_are_refused(target: Path, url: str) -> None:
    with pytest.raises(InputError, match="http or https"):
        fetch(DownloadRequest(url, DIGEST), target)


def test_a_folder_that_cannot_be_written_is_a_store_error(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreError, match="cannot be written"):
        fetch(wanted(server), tmp_path / "file" / "model.tflite")
