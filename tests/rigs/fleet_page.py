"""The page of a hub over a real connection, with devices and events that are generated."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rigs.browser import Browser

from edge.core.settings.schema import Settings
from edge.hub import databases
from edge.hub.page.server import HubServer
from edge.hub.store import NEW_EVENTS, Document, EventStore

MARK = {"X-Edge-Page": "1"}
LABELS = ("face", "person", "car")


@dataclass
class ServedHub:
    """A page that is served; ``folder`` is the state of its hub."""

    server: HubServer
    settings: Settings
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def ask(
        self, method: str, path: str, body: bytes = b"", host: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": f"{host}:{self.server.port}", **wanted})
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def get(self, path: str, **headers: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("GET", path, **headers)[2])
        return found

    def post(self, path: str, document: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """What our own script sends, and the document that comes back."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        status, _, answer = self.ask("POST", path, body, **{**MARK, **headers})
        return status, json.loads(answer)

    def told(self, devices: dict[str, dict[str, Any]]) -> None:
        """Devices report: device -> kind -> document."""
        report(self.folder, devices)


@contextmanager
def served_hub(folder: Path, advance: float = 0.0, **sections: Any) -> Iterator[ServedHub]:
    """The page of a hub whose state is in ``folder``; ``sections`` are settings."""
    for module in ("uvicorn", "tuf"):
        pytest.importorskip(module, reason="needs the extras rekognition-edge[api,hub]")
    values = {"device": {"name": "fleet"}, "hub": {"page_port": 0, "repository": folder / "hub"}, **sections}
    settings = Settings.model_validate(values)
    server = HubServer(settings, folder, advance)
    server.start()
    try:
        yield ServedHub(server, settings, folder)
    finally:
        server.stop()


def report(folder: Path, devices: dict[str, dict[str, Any]]) -> None:
    database = databases.connect("", folder)
    now = time.time()
    documents = [
        Document(device, kind, json.dumps(body), now)
        for device, kinds in devices.items()
        for kind, body in kinds.items()
    ]
    EventStore(database).add([], documents)
    database.close()


def generated(count: int, seed: int = 1) -> dict[str, dict[str, Any]]:
    """What ``count`` devices have reported: most are well, some are offline, hot, or failed an update."""
    draw = random.Random(seed)
    return {f"dev-{number:05d}": _reports(draw) for number in range(count)}


def _reports(draw: random.Random) -> dict[str, Any]:
    failed, old = draw.random() < 0.01, draw.random() < 0.1
    lost = draw.randrange(1, 50) if draw.random() < 0.01 else 0
    return {
        "status": {"online": draw.random() > 0.03, "session": 1},
        "info": {"version": "0.1.9" if old else "0.2.0", "hardware": "Raspberry Pi 5 Model B Rev 1.0"},
        "reported": {
            "release": "2026-11-20.1" if old or failed else "2026-11-28.1",
            "phase": "failed" if failed else "committed",
            "desired": "2026-11-28.1", "error": "the model has lost quality" if failed else "", "group": "all",
        },
        "stats": {
            "outbox": {"waiting": draw.choice((0, 0, 0, 3, 120)), "lost": lost}, "memory_mb": 210.5,
            "temperature": round(draw.uniform(35, 82), 1), "throttled": ["frequency"] if draw.random() < 0.01 else [],
            "cameras": {"door": {"status": "live" if draw.random() > 0.01 else "reconnecting"}},
        },
    }  # fmt: skip


def put_events(folder: Path, count: int, devices: int, seed: int = 2) -> None:
    """``count`` events of the last day, spread over ``devices`` devices; one in ten has a subject."""
    draw, now = random.Random(seed), time.time()
    rows = []
    for seq in range(1, count + 1):
        subject = f"subject {draw.randrange(20)}" if draw.random() < 0.1 else None
        moment = now - draw.random() * 86400
        rows.append((
            f"dev-{draw.randrange(devices):05d}", 1, seq, draw.choice(("new", "end")), "door", f"1-{seq}",
            "face" if subject else draw.choice(LABELS), "known" if subject else "unknown", subject,
            0.8 if subject else None, moment, moment, None, now, "{}",
        ))  # fmt: skip
    database = databases.connect("", folder)
    EventStore(database).prepare()
    with database.transaction() as transaction:
        transaction.insert("events", NEW_EVENTS, rows)
    database.close()


@contextmanager
def opened_hub(browser: Browser, hub: ServedHub, part: str, size: str = "desktop") -> Iterator[None]:
    """A part of the hub's page; nothing may complain meanwhile."""
    browser.console.clear()
    browser.size(size)
    browser.open(f"{hub.url}/#{part}")
    browser.until(f"!document.querySelector('#part-{part}').hidden && !document.querySelector('#main').hidden")
    yield
    complaints = list(browser.console)
    browser.open("about:blank")
    assert complaints == []
