"""Descriptors, memory or disk run out while the endpoint is used: requests fail, the cameras go on, and it recovers."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rigs.running import ROOT, Running
from rigs.waiting import eventually

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class Endpoint:
    """The endpoint of a running daemon."""

    def __init__(self, running: Running) -> None:
        assert running.process
        self.running, self.pid = running, running.process.pid
        self.port = int(re.findall(r"listens on http://127.0.0.1:(\d+)", running.log)[-1])

    def ask(self, operation: str, seconds: float = 30, **members: Any) -> tuple[int, dict[str, Any]]:
        """Status and answer; (0, {}) where there is none."""
        headers = {"X-Amz-Target": f"RekognitionService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("POST", "/", json.dumps(members), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except OSError:
            return 0, {}
        finally:
            connection.close()

    def cameras_go_on(self) -> bool:
        """Whether another subject comes and is told."""
        before = len(self.running.events)
        return eventually(lambda: len(self.running.events) > before + 1, 60)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[Path], Endpoint]]:
    with ExitStack() as stack:

        def start(state: Path) -> Endpoint:
            camera = {"fps": 10.0, "realtime": True, "loop": True}
            settings = {"state": str(state), "api": {"enabled": True, "port": 0}, "outbox": {"reserve_bytes": 0}}
            running = Running(tmp_path / "device", None, camera, settings)
            stack.callback(running.close)
            running.enroll()
            running.start()
            running.await_watching()
            assert eventually(lambda: running.events, 60), running.log  # its camera is open
            return Endpoint(running)

        yield start


def picture(side: int) -> dict[str, Any]:
    """A picture of one color, small as a file."""
    data = cv2.imencode(".jpg", np.zeros((side, side, 3), np.uint8))[1].tobytes()
    return {"Image": {"Bytes": base64.b64encode(data).decode()}}


def portrait() -> dict[str, Any]:
    data = next((ROOT / "edge/data/portraits/grace-hopper").glob("*.jpg")).read_bytes()
    return {"Image": {"Bytes": base64.b64encode(data).decode()}}


@pytest.mark.long
def test_without_a_free_descriptor_clients_wait_and_cameras_go_on(
    started: Callable[[Path], Endpoint], tmp_path: Path
) -> None:
    endpoint = started(tmp_path / "state")
    soft, hard = resource.prlimit(endpoint.pid, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{endpoint.pid}/fd").iterdir()))
    resource.prlimit(endpoint.pid, resource.RLIMIT_NOFILE, (used + 2, hard))
    with ExitStack() as held:
        for _ in range(40):
            held.enter_context(socket.create_connection(("127.0.0.1", endpoint.port)))
        assert endpoint.ask("ListCollections", seconds=2) == (0, {})
        assert endpoint.cameras_go_on(), endpoint.running.log
        resource.prlimit(endpoint.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert endpoint.ask("ListCollections")[0] == 200
    assert endpoint.ask("DetectFaces", **portrait())[0] == 200
    assert endpoint.running.stop() == 0


@pytest.mark.long
def test_without_memory_requests_are_told_to_come_back_and_cameras_go_on(
    started: Callable[[Path], Endpoint], tmp_path: Path
) -> None:
    endpoint = started(tmp_path / "state")
    assert endpoint.ask("DetectFaces", **portrait())[0] == 200  # its models are loaded
    status = Path(f"/proc/{endpoint.pid}/status").read_text()
    size = int(re.findall(r"VmSize:\s+(\d+) kB", status)[0]) << 10
    resource.prlimit(endpoint.pid, resource.RLIMIT_AS, (size + (4 << 20), resource.RLIM_INFINITY))
    answers = [endpoint.ask("DetectFaces", **picture(5600)) for _ in range(3)]
    assert {(code, answer["__type"]) for code, answer in answers} == {(400, "ThrottlingException")}
    assert endpoint.cameras_go_on(), endpoint.running.log
    resource.prlimit(endpoint.pid, resource.RLIMIT_AS, UNLIMITED)
    assert endpoint.ask("DetectFaces", **picture(5600))[0] == 200
    assert "Traceback" not in endpoint.running.log
    assert endpoint.running.stop() == 0


@pytest.mark.long
def test_on_a_full_disk_what_would_write_fails_and_what_reads_is_answered(
    started: Callable[[Path], Endpoint], small_disk: Path
) -> None:
    endpoint = started(small_disk)
    with (small_disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    created = [endpoint.ask("CreateCollection", CollectionId=f"c{number}")[0] for number in range(60)]
    assert created[-1] == 500
    assert endpoint.ask("ListCollections")[0] == 200
    assert endpoint.ask("SearchFacesByImage", CollectionId="faces", **portrait())[0] == 200
    assert endpoint.cameras_go_on(), endpoint.running.log
    (small_disk / "ballast").unlink()
    assert endpoint.ask("CreateCollection", CollectionId="again")[0] == 200
    assert "Traceback" not in endpoint.running.log
    assert endpoint.running.stop() == 0
