from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, Site, changed, cut, paced, says, some_faces

from edge.core.errors import FetchError, StoreError, TrustError
from edge.core.storage import files, vault
from edge.core.storage import keys as vault_keys
from edge.core.system.http import Http
from edge.releases import blob_download as download
from edge.releases import release_store as slots
from edge.releases.blob_download import DownloadLimits, Downloads, TransferRate

SIZE = 3_000_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder)
    yield site
    site.close()


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def offer(site: Site, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    (site.folder / digest).write_bytes(data)
    return digest


def downloads(site: Site, here: Path, **limits: int) -> Downloads:
    return Downloads(Http(), site.url, here, DownloadLimits(**limits))


def test_what_is_here_is_not_fetched_again(site: Site, here: Path) -> None:
    blobs = {offer(site, bytes([i]) * 1000): 1000 for i in range(3)}
    told: list[int] = []
    assert downloads(site, here).fetch(blobs, told.append) == 3000
    assert sum(told) == 3000
    assert downloads(site, here).fetch(blobs) == 0
    assert len(site.requests) == 3


def test_an_empty_file_is_a_file(site: Site, here: Path) -> None:
    digest = offer(site, b"")
    downloads(site, here).fetch({digest: 0})
    assert (here / digest).read_bytes() == b""


def test_a_hundred_cuts_cost_no_byte_twice_and_leave_no_damaged_file(site: Site, here: Path) -> None:
    random.seed(5)
    data = random.randbytes(SIZE)
    digest = offer(site, data)
    cuts = 0
    while not (here / digest).exists():
        site.rules[digest] = cut(random.randrange(20_000, 40_000))
        try:
            downloads(site, here).fetch({digest: SIZE})
        except FetchError:
            cuts += 1
    assert cuts >= 70
    assert (here / digest).read_bytes() == data
    assert site.sent <= 1.1 * SIZE
    assert [path.name for path in here.iterdir()] == [digest]


def test_a_poisoned_part_is_fetched_once_more_from_the_start(site: Site, here: Path) -> None:
    data = random.Random(1).randbytes(50_000)
    digest = offer(site, data)
    (here / f".part-{digest}").write_bytes(b"\0" * 20_000)
    assert downloads(site, here).fetch({digest: 50_000}) == 30_000 + 50_000
    assert (here / digest).read_bytes() == data


def test_a_part_that_is_too_long_or_whole_but_wrong_starts_anew(site: Site, here: Path) -> None:
    data = random.Random(2).randbytes(5_000)
    digest = offer(site, data)
    for size in (5_000, 9_000):
        (here / digest).unlink(missing_ok=True)
        (here / f".part-{digest}").write_bytes(b"\0" * size)
        downloads(site, here).fetch({digest: 5_000})
        assert (here / digest).read_bytes() == data


def test_a_server_that_does_not_know_ranges_sends_all_again(site: Site, here: Path) -> None:
    data = random.Random(3).randbytes(50_000)
    digest = offer(site, data)
    (here / f".part-{digest}").write_bytes(data[:20_000])

    def whole(handler: object, found: bytes) -> None:
        handler.headers.replace_header("Range", "bytes=0-")  # type: ignore[attr-defined]
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("Content-Length", str(len(found)))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        handler.wfile.write(found)  # type: ignore[attr-defined]

    site.rules[digest] = whole
    downloads(site, here).fetch({digest: 50_000})
    assert (here / digest).read_bytes() == data


def test_another_file_of_the_same_length_is_no_weather(site: Site, here: Path) -> None:
    digest = offer(site, b"a" * 1000)
    site.rules[digest] = changed(lambda data: b"b" * len(data))
    with pytest.raises(TrustError, match="not the file that was signed"):
        downloads(site, here).fetch({digest: 1000})
    assert list(here.iterdir()) == []


def test_a_file_that_is_not_there_says_so(site: Site, here: Path) -> None:
    site.rules["/"] = says(b"", 503)
    with pytest.raises(FetchError, match="503"):
        downloads(site, here).fetch({"0" * 64: 10})


def test_a_short_disk_is_refused_before_the_first_byte(site: Site, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = offer(site, b"a" * 5000)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=14, f_frsize=1000))
    with pytest.raises(StoreError, match="must stay free"):
        downloads(site, here, reserve=10_000).fetch({digest: 5000})
    assert site.requests == []
    downloads(site, here, reserve=9_000).fetch({digest: 5000})


@pytest.mark.long
def test_on_a_disk_that_is_really_short_not_a_byte_is_asked_for(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "edge-test", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount")
    fleet = Fleet(tmp_path / "hub")
    try:
        fleet.publish(fleet.release("r1", fleet.segment(some_faces(20_000))))
        with pytest.raises(StoreError, match="must stay free"):
            fleet.sync(small / "device")
        assert not [path for path in fleet.site.requests if "/blobs/" in path]
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        with mock.patch("edge.releases.verification.attempt"):
            assert fleet.sync(small / "device").outcome == "installed"
    finally:
        fleet.close()
        subprocess.run(["umount", small], check=True)


def test_slower_than_the_floor_is_given_up_and_faster_than_the_cap_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = [0.0], []
    monkeypatch.setattr(time, "sleep", waited.append)
    slow = TransferRate(DownloadLimits(), lambda: clock[0])

    def drip() -> None:
        for _ in range(200):
            clock[0] += 0.5
            slow.keep(1)

    with pytest.raises(FetchError, match="aborted"):
        drip()
    assert clock[0] <= download.WINDOW + 0.5
    assert not waited
    fast = TransferRate(DownloadLimits(rate=10_000), lambda: clock[0])
    fast.keep(5_000)
    assert waited == [0.5]


def test_the_cap_is_kept(site: Site, here: Path) -> None:
    digest = offer(site, b"a" * 300_000)
    began = time.monotonic()
    downloads(site, here, rate=200_000).fetch({digest: 300_000})
    assert time.monotonic() - began >= 1.3


FETCH = """
import sys
from pathlib import Path
from edge.releases.blob_download import DownloadLimits, Downloads
from edge.core.system.http import Http
Downloads(Http(), sys.argv[1], Path(sys.argv[2]), DownloadLimits()).fetch({sys.argv[3]: int(sys.argv[4])})
"""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_kills_in_the_middle_leave_no_damaged_file_and_cost_few_bytes(site: Site, here: Path) -> None:
    chance = random.Random(7)
    kills = sent = total = 0
    while kills < 100:
        data = chance.randbytes(SIZE)
        digest = offer(site, data)
        site.rules[digest] = paced
        command = [sys.executable, "-c", FETCH, site.url, str(here), digest, str(SIZE)]
        while not (here / digest).exists():
            size = (here / f".part-{digest}").stat().st_size if (here / f".part-{digest}").exists() else 0
            child = subprocess.Popen(command)
            step = size + chance.randrange(100_000, 900_000)
            while child.poll() is None:
                part = here / f".part-{digest}"
                if part.exists() and part.stat().st_size > step:
                    child.send_signal(signal.SIGKILL)
                    kills += child.wait() < 0
                time.sleep(0.01)
        assert files.sha256(here / digest) == digest
        total += SIZE
    sent = site.sent
    print(f"{kills} kills, {sent / total:.3f} x the bytes")
    assert sent <= 1.1 * total
    assert not list(here.glob(".part-*"))


def test_what_shows_people_is_sealed_before_a_disk_sees_it(site: Site, here: Path) -> None:
    vault_keys.use(vault_keys.new_key())
    key = next(iter(vault_keys.known().values()))
    face, model = b"a face and a name " * 1000, b"a model " * 1000
    digests = {offer(site, one): len(one) for one in (face, model)}
    private, public = digests
    vault.write_state(here, key.name, changing=False)
    for received in (len(face) + len(model), 0):
        fetching = Downloads(Http(), site.url, here, DownloadLimits(), vault.of(here), {private})
        assert fetching.fetch(digests) == received, "the second time all is there"
    assert slots.read(here, here, private) == face
    assert (here / public).read_bytes() == model
    assert not [path for path in here.iterdir() if b"a face and a name" in path.read_bytes()]
    (here / private).write_bytes((here / private).read_bytes()[:-1] + b"?")
    assert fetching.missing(digests) == {private: len(face)}, "a damaged one is fetched again"
    (site.folder / private).write_bytes(b"something else")
    with pytest.raises((TrustError, FetchError)):
        fetching.fetch(digests)
    vault_keys.use("")
