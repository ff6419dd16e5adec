"""A disk that is full: the daemon goes on matching, says so, and recovers without a restart."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.waiting import eventually


@pytest.fixture
def one(tmp_path: Path, shared_models: Path) -> Iterator[Running]:
    running = Running(tmp_path / "device", shared_models, {"fps": 10.0, "realtime": True, "loop": True})
    yield running
    running.close()


def test_a_full_disk_stops_neither_matching_nor_delivery_and_is_told(
    small_disk: Path, one: Running, tmp_path: Path
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        one.settings |= {
            "state": str(small_disk),
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "reconnect_seconds": 1.0},
            "outbox": {"commit_seconds": 0.0, "reserve_bytes": 0},
        }
        one.enroll()
        other = Subscriber(broker.port, "edge/v1/porch/up/#")
        stats, events = "edge/v1/porch/up/stats", "edge/v1/porch/up/event/door"

        def disk() -> str:
            return json.loads(other.on(stats)[-1])["outbox"]["state"] if other.on(stats) else ""

        one.start()
        assert eventually(lambda: other.on(events), 40), one.log
        with (small_disk / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert eventually(lambda: disk() == "full", 40), one.log
        before = len(other.on(events))
        assert eventually(lambda: len(other.on(events)) > before + 2, 40), one.log
        named = [json.loads(payload)["identity"]["state"] for payload in other.on(events)]
        assert "known" in named
        (small_disk / "ballast").unlink()
        assert eventually(lambda: disk() == "ok", 20), one.log
        assert one.stop() == 0
        other.stop()
