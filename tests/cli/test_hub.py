"""edge hub: what is stored is shown, exported and asked for; errors are words."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rigs.events import ALICE, an_event
from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.cli.main import edge
from edge.core.errors import EdgeError
from edge.core.settings import template as config_file
from edge.core.types import Queued
from edge.hub import databases
from edge.hub.store import Arrived, Document, EventStore
from edge.mqtt.messages import WireEvent, event_json, parse

Hub = Callable[..., Result]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    (tmp_path / "edge.toml").write_text(config_file.written({"state": str(tmp_path)}))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(edge, ["--config", str(tmp_path / "edge.toml"), "hub", *arguments])

    return run


def store(tmp_path: Path, count: int = 3) -> None:
    database = databases.connect("", tmp_path)
    arrived = []
    for seq in range(1, count + 1):
        body = event_json("porch", Queued(seq, 3, seq, seq - 1, an_event("new", f"7-{seq}", identity=ALICE)))
        arrived.append(Arrived("porch", 3, seq, seq - 1, body.decode(), parse(WireEvent, body)))
    said = {"status": {"online": True}, "stats": {"outbox": {"waiting": 2, "lost": 0}}, "info": {"version": "1.2"}}
    documents = [Document("porch", kind, json.dumps(body), time.time()) for kind, body in said.items()]
    EventStore(database).add(arrived, documents)
    database.close()


def test_events_are_shown_oldest_first(hub: Hub, tmp_path: Path) -> None:
    store(tmp_path)
    found = json.loads(hub("events", "--subject", "alice", "--json").stdout)
    assert [row["seq"] for row in found] == [1, 2, 3]
    assert [row["seq"] for row in json.loads(hub("events", "--limit", "2", "--json").stdout)] == [2, 3]
    table = hub("events", "--device", "porch").stdout.splitlines()
    assert table[0].split()[:3] == ["time", "device", "camera"]
    assert "alice" in table[1]


def test_nothing_found_is_exit_code_3(hub: Hub, tmp_path: Path) -> None:
    assert (hub("events").exit_code, hub("events").stderr) == (3, "no such event is stored\n")
    assert (hub("status").exit_code, hub("status").stderr) == (3, "no device has reported yet\n")
    store(tmp_path)
    assert hub("events", "--subject", "bob").exit_code == 3
    assert hub("events", "--until", "2020-01-01").exit_code == 3


def test_the_fleet_is_a_table(hub: Hub, tmp_path: Path) -> None:
    store(tmp_path)
    line = hub("status").stdout.splitlines()[1].split()
    assert line[:2] == ["porch", "yes"]
    (device,) = json.loads(hub("status", "--json").stdout)
    assert (device["online"], device["backlog"], device["version"]) == (True, 2, "1.2")


def test_events_are_exported(hub: Hub, tmp_path: Path) -> None:
    store(tmp_path)
    assert hub("events", "--csv", str(tmp_path / "out.csv")).exit_code == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
    result = hub(
        "events",
        "--csv",
        str(
            tmp_path / "no" / "such" / "x.csv",
        ),
    )
    assert result.exit_code == 0
    (tmp_path / "file").write_text("")
    assert isinstance(hub("events", "--csv", str(tmp_path / "file" / "x.csv")).exception, EdgeError)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ingest",),
        ("simulate", "3"),
        ("command", "porch", "ping"),
        ("events", "--since", "yesterday"),
        ("status", "--database", "mysql://x"),
        ("key", "/"),
    ],
)
def test_what_cannot_be_done_is_explained(hub: Hub, arguments: tuple[str, ...]) -> None:
    result = hub(*arguments)
    if isinstance(result.exception, EdgeError):
        assert result.exception.message
        assert result.exception.hint
    else:
        assert result.exit_code == 2
        assert "Error" in result.output


def test_a_key_is_made_and_its_public_half_shown(hub: Hub, tmp_path: Path) -> None:
    assert '\n[commands]\nkeys = ["' in hub("key", str(tmp_path / "other.key")).stdout
    made = json.loads(hub("key", str(tmp_path / "hub.key"), "--json").stdout)
    assert len(made["public"]) == 44
    assert isinstance(hub("key", str(tmp_path / "hub.key")).exception, EdgeError)


def test_a_simulated_fleet_loses_nothing_through_broker_and_ingest(hub: Hub, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        mqtt = {"host": "127.0.0.1", "port": broker.port}
        (tmp_path / "edge.toml").write_text(config_file.written({"state": str(tmp_path), "mqtt": mqtt}))
        command = [sys.executable, "-m", "edge", "--config", str(tmp_path / "edge.toml"), "hub", "ingest", "--json"]
        ingest = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert eventually(lambda: "edge-hub-1" in broker.log, 30)
            figures = json.loads(hub("simulate", "20", "--rate", "3", "--seconds", "3", "--json").stdout)
            ingest.send_signal(signal.SIGINT)
            counts = json.loads(ingest.communicate(timeout=30)[0])
        finally:
            ingest.kill()
            ingest.wait()
    assert figures["devices"] == 20
    assert figures["events"] == figures["marked"] == counts["stored"] > 0
    assert (figures["lost"], counts["refused"]) == (0, 0)
    assert {one["online"] for one in json.loads(hub("status", "--json").stdout)} == {True}


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_plan_shows_measured_runs_beside_their_estimates_and_then_larger_fleets(hub: Hub, database: str) -> None:
    found = json.loads(hub("plan", "--database", database, "--json").stdout)
    assert [(one["source"], one["devices"]) for one in found] == [
        ("measured", 100), ("estimate", 100), ("measured", 1000), ("estimate", 1000), ("measured", 5000),
        ("estimate", 5000), ("estimate", 10_000), ("estimate", 1_000_000),
    ]  # fmt: skip
    ten_thousand, million = found[-2:]
    assert million["events_per_second"] == 100 * ten_thousand["events_per_second"] == 100_000
    assert million["rows_per_day"] == 100 * ten_thousand["rows_per_day"]
    assert million["ingests"] > 1
    assert million["connections"] == 1_000_000 + million["ingests"]
    table = hub("plan", "70000", "--rate", "0.5", "--keep-days", "7").stdout.splitlines()
    assert table[0].split() == [*["measured", "estimate"] * 3, "estimate"]
    assert next(line for line in table if line.startswith("devices")).endswith("70,000")
    assert next(line for line in table if line.startswith("events/s")).endswith("35,000.0")


def test_a_fleet_without_devices_cannot_be_planned(hub: Hub) -> None:
    result = hub("plan", "0")
    assert result.exit_code == 2
    assert "Error" in result.output
