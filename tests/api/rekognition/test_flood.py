"""Connections that wait, by the hundred, and bodies that drip: a process with few descriptors goes on answering."""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import service_model
from rigs.waiting import eventually

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DESCRIPTORS = 256
DRIP = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: RekognitionService.DetectFaces\r\nContent-Length: 9000000\r\n\r\n"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``edge api`` with a key, and as many descriptors as a careless system gives."""
    if shutil.which("prlimit") is None:
        pytest.skip("needs prlimit of util-linux")
    config = tmp_path / "edge.toml"
    config.write_text(f'state = "{tmp_path / "state"}"\n[api]\nport = 0\nkeys = {{ {KEY} = "{SECRET}" }}\n')
    command = [sys.executable, "-m", "edge", "--config", str(config), "api", "--json"]
    limit = f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"
    process = subprocess.Popen(["prlimit", limit, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, int(json.loads(process.stdout.readline())["url"].rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait(30)
        process.communicate()


def asked(port: int, times: int) -> list[float]:
    """Seconds of each of so many signed requests."""
    client: Any = service_model.client(port, config={"connect_timeout": 20, "read_timeout": 20})
    client.meta.config.retries["total_max_attempts"] = 3
    took = []
    for _ in range(times):
        began = time.monotonic()
        client.list_collections()
        took.append(time.monotonic() - began)
    return took


def test_idle_connections_cost_nobody_an_answer(endpoint: tuple[subprocess.Popen[str], int]) -> None:
    process, port = endpoint
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3 * DESCRIPTORS)]

    assert statistics.median(asked(port, 9)) < 2
    assert process.poll() is None
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < DESCRIPTORS
    for one in idle:
        one.close()
    assert eventually(lambda: len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 60, 20)


def test_bodies_that_drip_cost_nobody_an_answer(endpoint: tuple[subprocess.Popen[str], int]) -> None:
    process, port = endpoint
    dripping = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(50)]
    stop = threading.Event()

    def drip() -> None:
        data = DRIP
        while not stop.wait(0.1):
            for one in dripping:
                try:
                    one.sendall(data)
                except OSError:
                    continue
            data = b"x"

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        assert statistics.median(asked(port, 9)) < 2
    finally:
        stop.set()
        thread.join()
    assert process.poll() is None
