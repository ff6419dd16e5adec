"""Servers behind proxies and passwords, as companies have them."""

from __future__ import annotations

import base64
import http.server
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from rigs.release_simulator import Fleet, Handler, Site, some_faces

from edge.core.errors import EdgeError, FetchError, SettingsError
from edge.core.settings.address import SecretAddress
from edge.core.system.http import Http, RefusedError
from edge.releases.updater import Updater


class Proxy(http.server.ThreadingHTTPServer):
    """Answers for http://releases.invalid/ out of a folder, as a proxy that reaches it."""

    daemon_threads = True

    def __init__(self, folder: Path, authorization: str = "") -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.folder, self.authorization = folder, authorization
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        path = self.server.folder / urllib.parse.urlsplit(self.path).path.lstrip("/")
        if self.server.authorization and self.headers.get("Proxy-Authorization") != self.server.authorization:
            self.send_error(407)
        elif not path.is_file():
            self.send_error(404)
        else:
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    fleet = Fleet(tmp_path / "hub")
    fleet.publish(fleet.release("r1", fleet.segment(some_faces(5))))
    with mock.patch("edge.releases.verification.attempt"):
        yield fleet
    fleet.close()


def test_the_proxy_of_the_environment_is_used(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(fleet.repository.public)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
    updater = Updater(fleet.settings(url="http://releases.invalid"), tmp_path / "device")
    assert updater.way == f"by the proxy http://127.0.0.1:{proxy.server_port}"
    assert updater.run().release == "r1"
    assert all(path.startswith("http://releases.invalid/") for path in proxy.requests)
    proxy.shutdown()


def test_no_proxy_goes_directly(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.org, 127.0.0.0/8")
    assert fleet.sync(tmp_path / "device").release == "r1"


def test_a_proxy_with_a_password(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(fleet.repository.public, basic("me", "p@ss"))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
    with pytest.raises(FetchError) as without:
        fleet.sync(tmp_path / "device", url="http://releases.invalid")
    assert "407" in without.value.message
    assert "https_proxy" in without.value.hint
    monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.server_port}")
    assert fleet.sync(tmp_path / "device", url="http://releases.invalid").release == "r1"
    proxy.shutdown()


def test_a_proxy_that_is_away_is_named_without_its_password(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://me:TheSecret@127.0.0.1:9")
    with pytest.raises(FetchError, match=r"by the proxy http://127\.0\.0\.1:9") as away:
        fleet.sync(tmp_path / "device", url="http://releases.invalid")
    assert "no_proxy" in away.value.hint
    assert "TheSecret" not in str(away.value)


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(SettingsError, match="unsupported kind"), Http().get("http://releases.invalid/x"):
        pass


class PrivateSite(Site):
    """Serves to one user alone."""

    authorization = basic("device", "The Secret/1")

    def finish_request(self, request: object, client_address: object) -> None:
        PrivateHandler(request, client_address, self)  # type: ignore[arg-type]


class PrivateHandler(Handler):
    def do_GET(self) -> None:
        site = self.server
        assert isinstance(site, PrivateSite)
        if self.headers.get("Authorization") != site.authorization:
            self.plain(b"", 401)
        else:
            super().do_GET()


@pytest.mark.parametrize(
    ("userinfo", "works"), [("device:The%20Secret%2F1@", True), ("device:wrong@", False), ("", False)]
)
def test_a_user_and_a_password_in_the_address(fleet: Fleet, tmp_path: Path, userinfo: str, works: bool) -> None:
    site = PrivateSite(fleet.repository.public)
    updater = Updater(fleet.settings(url=f"http://{userinfo}127.0.0.1:{site.server_port}"), tmp_path / "device")
    if works:
        assert updater.run().release == "r1"
    else:
        with pytest.raises(EdgeError) as refused:
            updater.run()
        assert "401" in refused.value.message
        assert "sync.url" in refused.value.hint
        for text in (str(refused.value), str(updater._updates.path.read_bytes())):
            assert "wrong" not in text
    site.close()


def test_a_token_in_the_query_is_sent_and_never_shown(fleet: Fleet, tmp_path: Path) -> None:
    assert fleet.sync(tmp_path / "device", url=f"{fleet.site.url}?token=TheSecret").release == "r1"
    assert all(path.endswith("?token=TheSecret") for path in fleet.site.requests)
    with (
        pytest.raises(RefusedError) as refused,
        Http(SecretAddress(f"{fleet.site.url}?token=TheSecret")).get(f"{fleet.site.url}/x"),
    ):
        pass
    assert "TheSecret" not in str(refused.value)


def test_a_password_goes_to_no_other_server(fleet: Fleet) -> None:
    site = PrivateSite(fleet.repository.public)
    http_client = Http(SecretAddress(f"http://device:The%20Secret%2F1@127.0.0.1:{fleet.site.server_port}"))
    with pytest.raises(RefusedError) as refused, http_client.get(f"{site.url}/metadata/timestamp.json"):
        pass
    assert refused.value.status == 401
    site.close()


def test_a_server_with_a_certificate_of_its_own(fleet: Fleet, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out",
         str(certificate)], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    site = Site(fleet.repository.public)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    url = f"https://localhost:{site.server_port}"
    with pytest.raises(FetchError) as untrusted:
        fleet.sync(tmp_path / "device", url=url)
    assert "sync.ca" in untrusted.value.hint
    assert fleet.sync(tmp_path / "device", url=url, ca=str(certificate)).release == "r1"
    site.close()
