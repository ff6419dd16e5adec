"""Downloads: resumed, bounded, verified, whole or not there."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rigs.file_server import FileServer, answer, serving

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


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


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


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Proxy(ThreadingHTTPServer):
    """Answers for http://models.invalid/ out of a ``FileServer``, as a proxy that reaches it."""

    daemon_threads = True

    def __init__(self, origin: FileServer, authorization: str = "") -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.origin, self.authorization = origin, authorization
        self.requests: list[str] = []
        self.address = f"127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()


class ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if self.server.authorization and self.headers.get("Proxy-Authorization") != self.server.authorization:
            self.send_error(407)
            return
        self.path = self.path.removeprefix("http://models.invalid")
        answer(self, self.server.origin)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(server: FileServer) -> Iterator[Proxy]:
    proxy = Proxy(server)
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    proxy.thread.join()


def test_the_proxy_of_the_environment_is_used(
    server: FileServer, proxy: Proxy, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")

    fetch(DownloadRequest("http://models.invalid/model", DIGEST), target)

    assert target.read_bytes() == BODY
    assert proxy.requests == ["http://models.invalid/model"]


def test_a_download_through_a_proxy_is_resumed(
    server: FileServer, proxy: Proxy, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"http://{proxy.address}")
    server.stop_after = 100_000
    with pytest.raises(TransientError, match="stopped after 100,000 of 300,000 bytes"):
        fetch(DownloadRequest("http://models.invalid/model", DIGEST), target)

    server.stop_after = None
    fetch(DownloadRequest("http://models.invalid/model", DIGEST), target)

    assert target.read_bytes() == BODY
    assert server.asked == ["", "bytes=100000-"]


@pytest.mark.parametrize("excluded", ["127.0.0.0/8", "example.org, 127.0.0.1", "*"])
def test_no_proxy_goes_directly(
    server: FileServer, proxy: Proxy, target: Path, monkeypatch: pytest.MonkeyPatch, excluded: str
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    monkeypatch.setenv("no_proxy", excluded)

    fetch(wanted(server), target)

    assert target.read_bytes() == BODY
    assert proxy.requests == []


def test_a_proxy_with_a_password(
    server: FileServer, proxy: Proxy, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.authorization = basic("me", "TheSecret")
    monkeypatch.setenv("http_proxy", f"http://me:wrong@{proxy.address}")
    with pytest.raises(TransientError, match="407") as refused:
        fetch(DownloadRequest("http://models.invalid/model", DIGEST), target)
    assert "https_proxy" in refused.value.hint
    assert "wrong" not in str(refused.value)

    monkeypatch.setenv("http_proxy", f"http://me:TheSecret@{proxy.address}")
    fetch(DownloadRequest("http://models.invalid/model", DIGEST), target)

    assert target.read_bytes() == BODY


def test_a_proxy_that_is_away_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:TheSecret@127.0.0.1:9")

    with pytest.raises(TransientError, match=r"by the proxy http://127\.0\.0\.1:9") as away:
        fetch(DownloadRequest("http://models.invalid/model", DIGEST), target)

    assert "no_proxy" in away.value.hint
    assert "TheSecret" not in str(away.value)


def test_a_user_and_a_password_in_the_address(server: FileServer, target: Path) -> None:
    server.authorization = basic("me", "TheSecret")
    with pytest.raises(TransientError, match="401") as refused:
        fetch(wanted(server), target)
    assert "USER:PASSWORD" in refused.value.hint

    fetch(DownloadRequest(f"{server.url.replace('//', '//me:TheSecret@')}/model", DIGEST), target)

    assert target.read_bytes() == BODY


def test_a_redirection_is_followed_and_takes_no_password_along(server: FileServer, target: Path) -> None:
    with serving() as other:
        other.redirects["/model"] = f"{server.url}/model"
        fetch(DownloadRequest(f"{other.url.replace('//', '//me:TheSecret@')}/model", DIGEST), target)

    assert target.read_bytes() == BODY
    assert other.authorizations == [basic("me", "TheSecret")]
    assert server.authorizations == [""]


def test_redirections_that_never_end_are_an_error(server: FileServer, target: Path) -> None:
    server.redirects["/model"] = f"{server.url}/model"

    with pytest.raises(TransientError, match="more than 3 redirections"):
        fetch(wanted(server), target)


def test_a_query_is_sent_and_not_shown(server: FileServer, target: Path) -> None:
    server.files = {"/model?token=TheSecret": BODY}
    fetch(DownloadRequest(f"{server.url}/model?token=TheSecret", DIGEST), target)
    assert target.read_bytes() == BODY

    server.status = 500
    with pytest.raises(TransientError, match="500") as refused:
        fetch(DownloadRequest(f"{server.url}/model?token=TheSecret", DIGEST), target)
    assert "TheSecret" not in str(refused.value)
