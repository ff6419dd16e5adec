"""The socket by which commands on this machine ask the daemon."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.daemon import control
from edge.daemon.control import Control


def greet(given: dict[str, Any]) -> dict[str, Any]:
    if "name" not in given:
        raise NotFoundError("nobody is named", "give a name")
    return {"greeting": f"hello {given['name']}"}


def fail(_: dict[str, Any]) -> dict[str, Any]:
    raise ZeroDivisionError


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder whose path is longer than the address of a socket may be."""
    folder = tmp_path / ("a long name " * 8).strip() / ("another one " * 8).strip()
    folder.mkdir(parents=True)
    made = Control(folder, {"greet": greet, "fail": fail})
    made.start()
    yield folder
    made.stop()
    assert not (folder / control.NAME).exists()


def test_a_question_is_answered_wherever_the_folder_is_and_only_its_owner_may_ask(state: Path) -> None:
    assert control.ask(state, "greet", {"name": "Żaneta"}) == {"greeting": "hello Żaneta"}
    assert stat.S_IMODE((state / control.NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("operation", "says"),
    [("greet", "nobody is named"), ("dance", "unknown operation"), ("fail", "ZeroDivisionError")],
)
def test_what_goes_wrong_is_told_and_the_next_is_answered(state: Path, operation: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        control.ask(state, operation, {})
    assert control.ask(state, "greet", {"name": "you"})["greeting"] == "hello you"


@pytest.mark.parametrize(
    "said",
    [b"", b"\n", b"[]\n", b"{", b"nonsense\n", b'{"operation": 5}\n', b'{"operation": []}\n', b"\xff\xfe\n",
     b'{"operation": "greet", "arguments": 5}\n', b"[" * 60_000 + b"\n"],
    ids=lambda said: repr(said[:40]),
)  # fmt: skip
def test_nonsense_stops_nothing(state: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as other, control._address(state) as address:
        other.connect(address)
        other.sendall(said)
        other.shutdown(socket.SHUT_WR)
        other.recv(1000)
    assert control.ask(state, "greet", {"name": "you"})["greeting"] == "hello you"


def test_a_daemon_that_is_gone_is_told_apart_from_one_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="does not answer"):
        control.ask(tmp_path, "greet", {})


def test_a_socket_that_a_killed_daemon_left_is_replaced(tmp_path: Path) -> None:
    Control(tmp_path, {}).start()
    again = Control(tmp_path, {"greet": greet})
    again.start()
    assert control.ask(tmp_path, "greet", {"name": "you"})["greeting"] == "hello you"
    again.stop()
