"""Cameras with passwords in every form: no topic, no answer of the page and no log line of a daemon holds one."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.device import Subscriber
from rigs.mosquitto import Mosquitto
from rigs.running import Running
from rigs.secret_addresses import FORMS, HOST, assert_hidden
from rigs.waiting import eventually

PAGES = ("state", "settings", "device/log", "history", "history/changes", "review", "strangers", "collections/faces")


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "device").mkdir()
    running = Running(tmp_path / "device")
    yield running
    running.close()


@pytest.mark.long
def test_topics_page_metrics_and_log_hide_every_form(device: Running, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        device.settings |= {
            "mqtt": {"host": "127.0.0.1", "port": broker.port, "stats_seconds": 1.0},
            "api": {"enabled": True, "port": 0},
            "homeassistant": {"enabled": True},
            "sync": {"url": "https://fleet:Secret16Sync@127.0.0.1:9/x", "root": str(tmp_path / "root.json")},
            "hub": {"database": "postgresql://hub:Secret17Hub@127.0.0.1:9/edge"},
        }
        device.settings["cameras"] = [
            {"name": f"c{number}", "source": address.replace("HOST", HOST)}
            for number, (address, _) in enumerate(FORMS.values())
        ]
        everything = Subscriber(broker.port, "#")
        device.start()
        assert eventually(lambda: "endpoint listens" in device.log, 60), device.log
        port = re.findall(r"listens on http://127.0.0.1:(\d+)", device.log)[-1]
        said = device.log
        assert eventually(lambda: sum(f"camera c{n}" in device.log for n in range(len(FORMS))) == len(FORMS), 60), (
            device.log
        )
        assert eventually(lambda: len(everything.on("edge/v1/porch/up/stats")) > 2, 30)
        answers = []
        for path in (*(f"page/{page}" for page in PAGES), "metrics", "healthz"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
                answers.append(answer.read().decode())
        assert device.stop() == 0
        everything.stop()
    messages = [f"{topic} {payload.decode('utf-8', 'replace')}" for topic, payload, _ in everything.messages]
    assert any(HOST in text for text in answers), "the page tells the masked addresses"
    said = "\n".join([device.log, *answers, *messages])
    said += json.dumps([json.loads(text) for text in answers if text.startswith("{")], ensure_ascii=False)
    for _, secret in FORMS.values():
        assert_hidden(secret, said)
    assert not re.search("Secret1[67]", said)
