"""The page of a daemon that runs."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rigs.mosquitto import free_port
from rigs.waiting import eventually

ROOT = Path(__file__).parents[3]
PORTRAITS = ROOT / "edge/data/portraits"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where a daemon that knows the people of its footage serves its page. It must end by SIGTERM, streams or not."""
    pytest.importorskip("uvicorn", reason="needs the extra rekognition-edge[api]")
    number, config = free_port(), tmp_path / "edge.toml"
    config.write_text(
        f'state = "{tmp_path / "state"}"\ndevice.name = "porch"\napi = {{ enabled = true, port = {number} }}\n'
        f'[[cameras]]\nname = "door"\nsource = "synthetic:{PORTRAITS}"\nloop = true\n'
    )
    edge = [sys.executable, "-m", "edge", "--config", str(config)]
    subprocess.run([*edge, "enroll", "faces", str(PORTRAITS)], check=True, capture_output=True)
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen([*edge, "run"], stderr=log)
    try:
        assert eventually(lambda: b"watching door" in (tmp_path / "log").read_bytes(), 60)
        yield number
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def ask(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    return connection.getresponse()


def state(port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(port, "/page/state").read())
    return found


def someone_named(port: int) -> bool:
    with ask(port, "/cameras/door/latest.jpg") as answer:
        story = json.loads(answer.headers["X-Frame"])
        return answer.read(2) == b"\xff\xd8" and any(track["state"] == "known" for track in story["tracks"])


def test_a_running_daemon_shows_who_is_there_and_ends_while_a_browser_listens(port: int) -> None:
    assert b"<!doctype html>" in ask(port, "/").read()
    assert eventually(lambda: someone_named(port), 30)
    assert eventually(lambda: any(one["tracks"] for one in state(port)["present"]), 30)
    assert state(port)["collections"] == [{"name": "faces", "faces": 2}]
    metrics = ask(port, "/metrics").read().decode()
    assert 'edge_camera_live{camera="door"} 1' in metrics
    assert 'edge_collection_faces{collection="faces"} 2' in metrics
    stream = ask(port, "/page/events")
    assert eventually(lambda: stream.readline().startswith(b"data: "), 30)
