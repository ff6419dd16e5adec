"""The recipes of config/proxies with the real servers: nobody gets in by an address, and programs work through them."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from pydantic import SecretStr
from rigs.browser import browsing
from rigs.mosquitto import free_port
from rigs.page import served
from rigs.waiting import eventually

from edge.core.settings.services import ApiSettings, PageSettings

RECIPES = Path(__file__).parents[3] / "config/proxies"
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a-long-token"
NAME = "porch.example.org"
PRIVATE = ("/page/state", "/metrics", "/page/collections/faces", "/cameras/door/latest.jpg", "/page/review")
BARE = "server { listen 80; location / { proxy_pass http://127.0.0.1:8480; } }"
"""what a first search for "nginx reverse proxy" gives"""


@dataclass
class Front:
    """A proxy on ``port`` before an endpoint on ``behind``."""

    port: int
    behind: int

    def ask(self, path: str, source: str = "127.0.0.1", **headers: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=(source, 0))
        connection.request("GET", path, headers={"Host": NAME, **{n.replace("_", "-"): v for n, v in headers.items()}})
        status = connection.getresponse().status
        connection.close()
        return status


def nginx(folder: Path, recipe: str, port: int, behind: int) -> list[str]:
    """The command that serves a recipe, over plain HTTP on a free port."""
    recipe = re.sub(r"listen [^;]*;", f"listen {port};", recipe).replace("127.0.0.1:8480", f"127.0.0.1:{behind}")
    recipe = re.sub(r" *ssl_certificate.*\n", "", recipe)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {folder}/{name};" for name in names)
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/log; events {{}} http {{ access_log off; {places}\n{recipe} }}"
    )
    return ["nginx", "-e", f"{folder}/log", "-c", f"{folder}/nginx.conf", "-g", "daemon off;"]


def caddy(folder: Path, recipe: str, port: int, behind: int) -> list[str]:
    recipe = recipe.replace(f"{NAME} {{", f"http://:{port} {{").replace("127.0.0.1:8480", f"127.0.0.1:{behind}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n}}\n{recipe}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


Serve = Callable[[Path, str, int, int], list[str]]
FRONTS: dict[str, tuple[Serve, str, tuple[str, ...]]] = {
    "nginx": (nginx, (RECIPES / "nginx.conf").read_text(), ("127.0.0.1",)),
    "caddy": (caddy, (RECIPES / "Caddyfile").read_text(), ("127.0.0.1",)),
    "nginx, bare and not declared": (nginx, BARE, ()),
}


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    serve, recipe, proxies = FRONTS[request.param]
    if shutil.which(request.param.split(",")[0]) is None:
        pytest.skip(f"needs {request.param.split(',')[0]}, which is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = {KEY: SecretStr(SECRET)}
    with served(
        tmp_path / "state",
        api=ApiSettings(port=0, keys=keys, proxies=proxies),
        page=PageSettings(token=SecretStr(TOKEN), hosts=(NAME,)),
    ) as page:
        made = Front(free_port(), page.port)
        with (tmp_path / "out").open("wb") as out:
            server = subprocess.Popen(serve(tmp_path, recipe, made.port, made.behind), stdout=out, stderr=out)
        try:
            assert eventually(lambda: answers(made), 20), (tmp_path / "out").read_text()
            yield made
        finally:
            server.terminate()
            server.wait(20)


def is_bare(request: pytest.FixtureRequest) -> bool:
    return "bare" in request.node.callspec.params["front"]


def answers(front: Front) -> bool:
    try:
        return front.ask("/healthz") == 200
    except OSError:
        return False


@pytest.mark.parametrize("host", [NAME, "localhost", "127.0.0.1"])
def test_nobody_gets_in_without_the_token(front: Front, host: str) -> None:
    for path in PRIVATE:
        assert front.ask(path, Host=host) == 401
        assert front.ask(path, Host=host, X_Forwarded_For="127.0.0.1") == 401
        assert front.ask(path, Host=host, Authorization=f"Bearer {TOKEN}") in (200, 404, 503)


def test_a_program_works_through_it(front: Front, request: pytest.FixtureRequest) -> None:
    client = boto3.client(
        "rekognition",
        endpoint_url=f"http://127.0.0.1:{front.port}",
        region_name="eu-west-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )
    if is_bare(request):
        # it does not pass on the name that was signed
        with pytest.raises(client.exceptions.ClientError, match="InvalidSignatureException"):
            client.list_collections()
    else:
        assert client.list_collections()["CollectionIds"] == []


def test_wrong_tokens_lock_out_nobody_else(front: Front, request: pytest.FixtureRequest) -> None:
    if is_bare(request):
        pytest.skip("a proxy that says nothing of its clients makes them one")
    for _ in range(6):
        assert front.ask("/page/state", "127.0.0.2", Authorization="Bearer wrong", X_Forwarded_For="127.0.0.1") == 401
    assert front.ask("/page/state", "127.0.0.2", Authorization=f"Bearer {TOKEN}") == 401
    assert front.ask("/page/state", "127.0.0.1", Authorization=f"Bearer {TOKEN}") == 200


BELOW = """server { listen 80; location /porch/ {
    proxy_pass http://127.0.0.1:8480/; proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering off; proxy_http_version 1.1; } }"""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")
def test_the_page_works_below_a_path(tmp_path: Path) -> None:
    guarded = PageSettings(token=SecretStr(TOKEN))
    with served(tmp_path / "state", api=ApiSettings(port=0, proxies=("127.0.0.1",)), page=guarded) as page:
        front = Front(free_port(), page.port)
        with (tmp_path / "out").open("wb") as out:
            server = subprocess.Popen(nginx(tmp_path, BELOW, front.port, front.behind), stdout=out, stderr=out)
        try:
            assert eventually(lambda: reached(front, "/porch/healthz"), 20), (tmp_path / "out").read_text()
            with browsing(tmp_path / "browser") as browser:
                browser.open(f"http://127.0.0.1:{front.port}/porch/")
                browser.until("!document.getElementById('login').hidden")
                browser.js(f"document.getElementById('token').value = {TOKEN!r}")
                browser.js("document.getElementById('login-form').requestSubmit()")
                browser.until("document.body.innerText.includes('door')")
                assert browser.js("getComputedStyle(document.querySelector('nav')).display") in ("flex", "grid")
        finally:
            server.terminate()
            server.wait(20)


def reached(front: Front, path: str) -> bool:
    try:
        return front.ask(path, Host="127.0.0.1") == 200
    except OSError:
        return False
