"""``config/node-red.json``: its topics are ours, and a real Node-RED says who was recognized."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import paho.mqtt.publish as publish
import pytest
from rigs.mosquitto import Mosquitto, free_port
from rigs.waiting import eventually

from edge.mqtt.topics import Topics

PROGRAM = os.environ.get("EDGE_NODE_RED") or shutil.which("node-red")
FLOW = Path(__file__).parents[2] / "config/node-red.json"
RECOGNIZED = {
    "v": 1,
    "camera": "door",
    "track": "1-1",
    "label": "face",
    "subject": "alice",
    "time": 1.0,
    "similarity": 0.8,
}


def nodes() -> dict[str, dict[str, Any]]:
    return {node["id"]: node for node in json.loads(FLOW.read_text())}


def test_the_flow_listens_to_our_topics_and_each_wire_ends_somewhere() -> None:
    found = nodes()
    topics = Topics("porch")

    assert found["edge-recognized"]["topic"].replace("+", "porch", 1).replace("+", "door") == topics.recognized("door")
    assert found["edge-status"]["topic"].replace("+", "porch") == topics.status
    assert all(target in found for node in found.values() for wires in node.get("wires", ()) for target in wires)
    assert all(node["broker"] in found for node in found.values() if node["type"] == "mqtt in")


@pytest.mark.long
def test_node_red_says_who_was_recognized(tmp_path: Path) -> None:
    if PROGRAM is None:
        pytest.skip("needs Node-RED: npm install node-red, then EDGE_NODE_RED=.../node_modules/.bin/node-red")
    flow = nodes()
    with Mosquitto(tmp_path / "broker") as broker:
        flow["edge-broker"]["port"] = str(broker.port)
        flow["edge-file"] = {
            "id": "edge-file", "type": "file", "z": "edge-tab",
            "filename": str(tmp_path / "said"), "filenameType": "str", "appendNewline": True,
            "overwriteFile": "false", "wires": [],
        }  # fmt: skip
        flow["edge-who"]["wires"] = [["edge-file"]]
        (tmp_path / "flows.json").write_text(json.dumps(list(flow.values())))
        (tmp_path / "settings.js").write_text("module.exports = {}\n")
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [PROGRAM, "-u", str(tmp_path), "-p", str(free_port()), str(tmp_path / "flows.json")],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            assert eventually(lambda: "Connected to broker" in (tmp_path / "log").read_text(), 90)
            topic = Topics("porch").recognized("door")
            publish.single(topic, json.dumps(RECOGNIZED), qos=1, port=broker.port, hostname="127.0.0.1")
            assert eventually(lambda: (tmp_path / "said").exists() and (tmp_path / "said").read_text().strip(), 30)
        finally:
            process.terminate()
            process.wait(30)
    assert (tmp_path / "said").read_text() == "alice is at door of porch\n"
