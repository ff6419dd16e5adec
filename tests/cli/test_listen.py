"""``edge listen`` prints what a real broker passes on, once, and says plainly when nothing comes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.device import Device
from rigs.events import ALICE, an_event
from rigs.mosquitto import Mosquitto, free_port

from edge.cli.listen import line
from edge.core.settings.messaging import MqttSettings
from edge.core.types import Identity, IdentityState, Queued
from edge.mqtt.messages import WireEvent, event_json, parse


def edge(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def porch(broker: Mosquitto, tmp_path: Path) -> Iterator[Device]:
    one = Device.make(MqttSettings(host="127.0.0.1", port=broker.port), tmp_path / "state")
    one.start()
    yield one
    one.stop()


def printed_line(**changes: object) -> str:
    return line(parse(WireEvent, event_json("porch", Queued(1, 3, 1, 0, an_event("new", **changes)))))


def test_it_prints_each_event_on_a_line_and_ends_after_count(broker: Mosquitto, porch: Device) -> None:
    command = [sys.executable, "-m", "edge", "listen", "porch", "--host", "127.0.0.1", "--port", str(broker.port)]
    with subprocess.Popen([*command, "--json", "--count", "2"], stdout=subprocess.PIPE, text=True) as listener:
        number = 0
        while listener.poll() is None:
            number += 1
            porch.outbox.put([an_event("new", f"1-{number}", identity=ALICE)])
            try:
                listener.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        assert listener.stdout
        events = [json.loads(text) for text in listener.stdout.read().splitlines()]
    assert listener.returncode == 0
    assert len(events) == 2
    assert events[1]["seq"] == events[0]["seq"] + 1
    assert events[0]["identity"]["subject"] == "alice"


def test_nothing_heard_is_exit_code_3(broker: Mosquitto) -> None:
    answer = edge("listen", "--host", "127.0.0.1", "--port", str(broker.port), "--timeout", "0.5")
    assert (answer.returncode, answer.stdout) == (3, "")


def test_a_dead_broker_is_exit_code_1_with_a_way_out() -> None:
    answer = edge("listen", "--host", "127.0.0.1", "--port", str(free_port()), "--timeout", "0.5")
    assert answer.returncode == 1
    assert "unreachable" in answer.stderr
    assert "try: " in answer.stderr


def test_without_a_broker_set_it_says_how_to_set_one() -> None:
    answer = edge("listen")
    assert answer.returncode == 1
    assert "--host" in answer.stderr


def test_a_device_that_cannot_be_is_refused() -> None:
    answer = edge("listen", "no/such", "--host", "127.0.0.1")
    assert answer.returncode == 1
    assert "device" in answer.stderr


def test_a_line_says_when_where_what_who_and_how_sure() -> None:
    cells = printed_line(identity=ALICE).split()
    assert cells[1:] == ["porch", "door", "new", "face", "alice", "0.83", "mat"]


def test_a_name_in_doubt_has_a_question_mark_and_no_name_is_its_state() -> None:
    assert "alice?" in printed_line(identity=Identity(IdentityState.UNCERTAIN, "alice", 0.5))
    assert " unknown " in printed_line(identity=Identity(IdentityState.UNKNOWN))


def test_a_name_cannot_move_the_cursor() -> None:
    shown = printed_line(label="\x1b[2Jface\n", identity=Identity(IdentityState.KNOWN, "al\rice", 0.9))
    assert shown.isprintable()
