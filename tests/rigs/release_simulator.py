"""A hub, its web server and its devices, small and on this machine; the server does to the files what it is told.

``Site`` serves a folder over loopback and can lie: answer with other bytes, cut, drip, stall, send for ever. ``Fleet``
is a real signed repository with hand-made releases, whose keys the attacks may use as a thief would not.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edge.core.settings.schema import Settings
from edge.core.types import Face
from edge.hub.publishing.keys import Keys
from edge.hub.publishing.repository import Repository
from edge.recognition.store import segments
from edge.releases.manifest import Deployment, Release, Segment, ShippedCollection, to_bytes
from edge.releases.updater import Synced, Updater

SPACE = "ab" * 8 + "/litert/p1/4"
Answer = Callable[["Handler", bytes], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """GET with Range, and whatever the site's rules make of it."""

    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        site = self.server
        path = site.folder / self.path.lstrip("/").split("?")[0]
        site.requests.append(self.path)
        data = path.read_bytes() if path.is_file() else None
        for part, answer in site.rules.items():
            if part in self.path:
                with suppress(ConnectionError):
                    answer(self, data or b"")
                return
        self.plain(data)

    def plain(self, data: bytes | None, status: int = 200) -> None:
        if data is None:
            self.send_error(404)
            return
        start = self.begin(data, status)
        with suppress(ConnectionError):
            self.wfile.write(data[start:])
            self.server.sent += len(data) - start

    def begin(self, data: bytes, status: int = 200) -> int:
        """Status and headers for all of ``data``, or for the rest that was asked for; where that begins."""
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else status)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        return start

    def log_message(self, *_: object) -> None:
        pass


class Site(http.server.ThreadingHTTPServer):
    """Serves a folder on 127.0.0.1."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.rules: dict[str, Answer] = {}
        """part of a path -> what to do instead of serving it"""
        self.requests: list[str] = []
        self.sent = 0
        """bytes of bodies"""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


def says(data: bytes, status: int = 200) -> Answer:
    return lambda handler, _: handler.plain(data, status)


def changed(change: Callable[[bytes], bytes]) -> Answer:
    return lambda handler, data: handler.plain(change(data))


def cut(after: int) -> Answer:
    """The whole length is promised, and the line breaks after ``after`` bytes more."""

    def answer(handler: Handler, data: bytes) -> None:
        start = handler.begin(data)
        piece = data[start : start + after]
        handler.wfile.write(piece)
        handler.server.sent += len(piece)
        handler.close_connection = True

    return answer


def paced(handler: Handler, data: bytes) -> None:
    """About 2 MB a second, counted as it goes out: little is ever on the way."""
    start = handler.begin(data)
    with suppress(ConnectionError):
        for at in range(start, len(data), 16384):
            handler.wfile.write(data[at : at + 16384])
            handler.server.sent += len(data[at : at + 16384])
            time.sleep(0.008)


def endless(handler: Handler, _data: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    with suppress(ConnectionError):
        while True:
            handler.wfile.write(b"\0" * 65536)


def drip(handler: Handler, data: bytes) -> None:
    """A byte at a time, so that there is never a long gap."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    with suppress(ConnectionError):
        for i in range(len(data)):
            handler.wfile.write(data[i : i + 1])
            handler.wfile.flush()
            time.sleep(0.1)


def headers_drip(handler: Handler, _data: bytes) -> None:
    """An answer whose headers never end, a byte at a time."""
    with suppress(ConnectionError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in range(10_000):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)


def stall(handler: Handler, data: bytes) -> None:
    """Some bytes, then nothing, for as long as the other side waits."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    with suppress(ConnectionError):
        handler.wfile.write(data[:10])
        handler.wfile.flush()
        handler.rfile.read(1)  # ends when the other side has had enough


def some_faces(count: int, seed: int = 0, subject: str = "") -> list[tuple[Face, Any]]:
    """Faces of subjects p0, p1, ... (or of one), with random unit vectors of 4 numbers."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = []
    for i in range(count):
        word = hashlib.sha256(f"{seed}/{i}".encode()).hexdigest()
        name = f"{word[:8]}-{word[8:12]}-{word[12:16]}-{word[16:20]}-{word[20:32]}"
        made.append((Face(name, "staff", subject or f"p{i}", created=1.79e9, origin="hub"), vectors[i]))
    return made


class Fleet:
    """A signed repository, its site, and devices that sync from it. Close it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder, Keys(folder / "keys/online", folder / "keys/offline"))
        self.root = self.repository.init()
        self.site = Site(self.repository.public)

    def blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        (self.repository.blobs / digest).write_bytes(data)
        return digest

    def segment(self, faces: list[tuple[Face, Any]], space: str = SPACE) -> Segment:
        data = segments.pack("staff", space, faces)
        return Segment(self.blob(data), len(data), len(faces))

    def release(self, name: str, *parts: Segment, **changes: Any) -> Release:
        collection = ShippedCollection("staff", SPACE, 4, parts)
        return replace(Release(name, 1.79e9, collections=(collection,)), **changes)

    def publish(self, release: Release, group: str = "all", **changes: Any) -> None:
        """Sign a release and deploy it to everybody."""
        self.repository.add_targets("targets", {f"releases/{release.id}.json": to_bytes(release)})
        self.deploy(release.id, group, **changes)

    def deploy(self, release: str, group: str = "all", **changes: Any) -> None:
        name = f"deploy/{group}.json"
        before = self.repository.target("deploy", name)
        number = json.loads(before)["number"] + 1 if before else 1
        deployment = replace(Deployment(group, number, release), **changes)
        self.repository.add_targets("deploy", {name: to_bytes(deployment)})

    def settings(self, device: str = "porch", **sync: Any) -> Settings:
        usual = {"url": self.site.url, "root": str(self.root), "reserve_bytes": 0}
        # hand-made releases have no models: no label asks for an embedder
        return Settings(device={"name": device}, labels={"person": {}}, sync=usual | sync)  # type: ignore[arg-type]

    def sync(self, state: Path, **sync: Any) -> Synced:
        return Updater(self.settings(**sync), state).run()

    def close(self) -> None:
        self.site.close()


@contextmanager
def offering(folder: Path, faces: int) -> Iterator[Fleet]:
    """A hub whose devices are to run r1, of so many faces; their trials are left out."""
    fleet = Fleet(folder)
    fleet.publish(fleet.release("r1", fleet.segment(some_faces(faces))))
    with mock.patch("edge.releases.verification.attempt"):
        yield fleet
    fleet.close()
