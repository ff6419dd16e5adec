"""Who may ask for what: signatures, counters, expiry, redelivery, and rubbish."""

from __future__ import annotations

import json
import os
import random
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.core.errors import InputError, NotFoundError, StoreError
from edge.mqtt.command_auth import (
    REMEMBERED,
    Command,
    CommandAnswer,
    Counters,
    Done,
    Gate,
    public_text,
    response_topic,
    sign,
    signed_bytes,
    to_json,
)
from edge.mqtt.subscriptions import Incoming
from edge.mqtt.topics import Topics

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


class Deeds:
    """Handlers that count what was done."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.fails: Exception | None = None

    def do(self, operation: str, arguments: dict[str, Any]) -> Done:
        if self.fails:
            raise self.fails
        self.done.append((operation, arguments))
        return Done({"number": len(self.done)})

    @property
    def handlers(self) -> dict[str, Any]:
        names = ("ping", "stats", "camera", "restart")
        return {name: lambda given, name=name: self.do(name, given) for name in names}


@pytest.fixture
def deeds() -> Deeds:
    return Deeds()


@pytest.fixture
def gate(deeds: Deeds, tmp_path: Path) -> Gate:
    return Gate("porch", [public_text(KEY)], deeds.handlers, Counters(tmp_path / "commands.json"))


def ask(
    gate: Gate, operation: str, payload: bytes | Command, correlation: bytes = b"", retained: bool = False
) -> CommandAnswer:
    body = to_json(payload) if isinstance(payload, Command) else payload
    message = Incoming(f"edge/v1/porch/down/cmd/{operation}", body, retained, "", correlation)
    return gate.answer(operation, message)[0]


def signed(operation: str = "camera", device: str = "porch", **arguments: Any) -> Command:
    return sign(KEY, device, operation, arguments or {"camera": "door", "enabled": False})


def test_ping_needs_no_signature_and_an_empty_payload_is_enough(gate: Gate) -> None:
    assert ask(gate, "ping", b"").code == "ok"


def test_a_signed_command_is_done_with_its_arguments(gate: Gate, deeds: Deeds) -> None:
    answer = ask(gate, "camera", signed(camera="door", enabled=False))
    assert (answer.code, answer.data) == ("ok", {"number": 1})
    assert deeds.done == [("camera", {"camera": "door", "enabled": False})]


def test_what_changes_something_is_refused_without_a_signature(
    gate: Gate, deeds: Deeds, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(gate, "restart", b"{}")
    assert (answer.code, deeds.done) == ("unsigned", [])
    assert "restart" in caplog.text


def test_a_command_is_done_once_however_often_it_is_sent(gate: Gate, deeds: Deeds) -> None:
    command = signed()
    assert ask(gate, "camera", command).code == "ok"
    assert ask(gate, "camera", command).code == "replayed"
    assert len(deeds.done) == 1


def test_a_replay_is_refused_after_a_restart_too(gate: Gate, deeds: Deeds, tmp_path: Path) -> None:
    command = signed()
    assert ask(gate, "camera", command).code == "ok"
    later = Gate("porch", [public_text(KEY)], deeds.handlers, Counters(tmp_path / "commands.json"))
    assert ask(later, "camera", command).code == "replayed"
    assert ask(later, "camera", signed()).code == "ok"


def test_a_redelivered_command_gets_the_same_answer_and_is_not_done_again(gate: Gate, deeds: Deeds) -> None:
    command = signed()
    first = ask(gate, "camera", command, b"x" * 16)
    assert ask(gate, "camera", command, b"x" * 16) == first
    assert len(deeds.done) == 1


def test_a_flow_that_sends_the_same_correlation_with_everything_gets_an_answer_to_each(
    gate: Gate, deeds: Deeds
) -> None:
    """As a node of a flow does whose properties were filled in once."""
    first, second = signed(camera="door", enabled=False), signed(camera="door", enabled=True)
    assert ask(gate, "ping", b"", b"edge").operation == "ping"
    assert ask(gate, "stats", b"", b"edge").operation == "stats"
    assert ask(gate, "camera", first, b"edge").data == {"number": len(deeds.done)}
    assert ask(gate, "camera", second, b"edge").code == "ok"
    assert [given["enabled"] for _, given in deeds.done if given] == [False, True]


def test_what_needs_no_signature_is_answered_anew_each_time(tmp_path: Path) -> None:
    numbers = iter(range(10))
    doing = {name: lambda _: Done({"number": next(numbers)}) for name in ("stats", "camera")}
    gate = Gate("porch", [], doing, Counters(tmp_path / "c.json"), trusted={"camera"})
    answers = [ask(gate, name, b"{}", b"edge").data["number"] for name in ("stats", "camera", "stats", "camera")]
    assert answers == [0, 1, 2, 3]


def test_only_so_many_answers_are_remembered(gate: Gate, deeds: Deeds) -> None:
    for number in range(REMEMBERED + 10):
        ask(gate, "camera", b"{}", number.to_bytes(4, "big"))
    assert len(gate._answers) == REMEMBERED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"arguments": {"camera": "door", "enabled": True}}, "bad_signature"),
        ({"counter": 2**62}, "bad_signature"),
        ({"expires": 10**10}, "bad_signature"),
        ({"device": "yard"}, "wrong_device"),
        ({"device": ""}, "wrong_device"),
        ({"key": public_text(OTHER)}, "unknown_key"),
        ({"key": "A" * 44}, "unknown_key"),
        ({"signature": "A" * 88}, "bad_signature"),
        ({"signature": "*"}, "bad_signature"),
    ],
)
def test_whatever_was_changed_after_signing_is_noticed(
    gate: Gate, deeds: Deeds, change: dict[str, Any], code: str
) -> None:
    assert ask(gate, "camera", replace(signed(), **change)).code == code
    assert deeds.done == []


def test_a_signature_for_one_operation_is_none_for_another(gate: Gate, deeds: Deeds) -> None:
    assert ask(gate, "restart", signed("camera")).code == "bad_signature"


def test_a_key_that_is_not_trusted_is_nobody(gate: Gate) -> None:
    assert ask(gate, "restart", sign(OTHER, "porch", "restart", {})).code == "unknown_key"


@pytest.mark.parametrize("seconds", [-5, 4000])
def test_a_command_must_end_soon_and_not_be_over(gate: Gate, deeds: Deeds, seconds: int) -> None:
    assert ask(gate, "camera", sign(KEY, "porch", "camera", {}, seconds)).code == "expired"
    assert deeds.done == []


def test_a_retained_command_is_never_done(gate: Gate, deeds: Deeds) -> None:
    assert ask(gate, "camera", signed(), retained=True).code == "retained"
    assert ask(gate, "ping", b"", retained=True).code == "retained"
    assert deeds.done == []


def test_an_operation_that_does_not_exist_is_told(gate: Gate) -> None:
    answer = ask(gate, "format-disk", b"{}")
    assert (answer.code, answer.message) == ("unknown_operation", "known operations: camera, ping, restart, stats")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("no camera"), "not_found"),
        (InputError("bad", code="enabled"), "invalid"),
        (StoreError("disk"), "failed"),
    ],
)
def test_what_goes_wrong_is_answered_with_a_code(gate: Gate, deeds: Deeds, error: Exception, code: str) -> None:
    deeds.fails = error
    assert ask(gate, "camera", signed()).code == code


def test_nothing_is_done_where_the_counter_cannot_be_written_down(deeds: Deeds, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    gate = Gate("porch", [public_text(KEY)], deeds.handlers, Counters(tmp_path / "file" / "commands.json"))
    assert ask(gate, "camera", signed()).code == "failed"
    assert deeds.done == []


def test_lost_counters_do_not_let_old_commands_in_again(deeds: Deeds, tmp_path: Path) -> None:
    (tmp_path / "commands.json").write_text("")
    gate = Gate("porch", [public_text(KEY)], deeds.handlers, Counters(tmp_path / "commands.json"))
    assert ask(gate, "camera", signed()).code == "failed"
    assert deeds.done == []


def test_the_counter_is_synced_to_disk_before_anything_is_done(
    gate: Gate, deeds: Deeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(len(deeds.done)), real(number))[1])
    ask(gate, "camera", signed())
    assert synced
    assert set(synced) == {0}


def test_an_operation_may_be_let_in_without_signature_by_the_settings(deeds: Deeds, tmp_path: Path) -> None:
    gate = Gate("porch", [], deeds.handlers, Counters(tmp_path / "c.json"), trusted=["camera"])
    assert ask(gate, "camera", b'{"arguments":{"camera":"door","enabled":true}}').code == "ok"
    assert ask(gate, "restart", b"{}").code == "unsigned"


def test_rubbish_is_refused_and_never_done(gate: Gate, deeds: Deeds) -> None:
    rng = random.Random(3)
    good = to_json(signed())
    payloads = [b"null", b"[]", b"{", b"\xff", b'{"v":2}', b'{"arguments":[]}', b'{"counter":1e400}', b"[" * 100_000]
    for number in range(500):
        spoiled = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
        payload = bytes(spoiled) if number % 2 else rng.choice(payloads)
        if payload != good:
            assert ask(gate, "camera", payload).code != "ok"
    assert deeds.done == []
    assert ask(gate, "camera", good).code == "ok"


def test_answers_that_are_large_are_not_kept_in_memory(tmp_path: Path) -> None:
    doing = {"snapshot": lambda _: Done({"jpeg": "x" * 100_000})}
    gate, command = Gate("porch", [public_text(KEY)], doing, Counters(tmp_path / "c.json")), signed("snapshot")
    assert len(ask(gate, "snapshot", command, b"1").data["jpeg"]) == 100_000
    assert ask(gate, "snapshot", command, b"1").data == {}


def test_what_is_signed_does_not_depend_on_the_order_of_the_arguments() -> None:
    one, two = Command(arguments={"a": 1, "b": "\u00e9"}), Command(arguments={"b": "\u00e9", "a": 1})
    assert signed_bytes("porch", "x", one) == signed_bytes("porch", "x", two)
    assert signed_bytes("porch", "x", one) == (
        b'{"arguments":{"a":1,"b":"\\u00e9"},"counter":0,"device":"porch","expires":0,"operation":"x"}'
    )


def test_counters_of_a_key_only_grow(tmp_path: Path) -> None:
    counters = Counters(tmp_path / "c.json")
    assert counters.take("a", 5)
    assert not counters.take("a", 5)
    assert not counters.take("a", 4)
    assert counters.take("b", 1)
    assert json.loads((tmp_path / "c.json").read_text()) == {"a": 5, "b": 1}


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("", "edge/v1/porch/up/rsp/ping"),
        ("edge/v1/porch/up/rsp/abc", "edge/v1/porch/up/rsp/abc"),
        ("edge/v1/porch/up/event/door", "edge/v1/porch/up/rsp/ping"),
        ("edge/v1/yard/up/rsp/abc", "edge/v1/porch/up/rsp/ping"),
        ("edge/v1/porch/up/rsp/a/b", "edge/v1/porch/up/rsp/ping"),
        ("edge/v1/porch/up/rsp/#", "edge/v1/porch/up/rsp/ping"),
    ],
)
def test_answers_go_nowhere_but_to_the_devices_own_responses(asked: str, where: str) -> None:
    message = Incoming("edge/v1/porch/down/cmd/ping", b"", response_topic=asked)
    assert response_topic(Topics("porch"), "ping", message) == where


def test_a_command_survives_its_journey(gate: Gate) -> None:
    command = signed()
    assert Command(**json.loads(to_json(command))) == command
    assert asdict(command)["expires"] > time.time()
