"""Local control socket: commands on the same machine reach a running daemon through the state folder.

One line of JSON there, one line back. Who may open the folder may ask; nothing of it is on the network or the disk.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge.core.errors import ConflictError, EdgeError, InputError
from edge.core.storage import layout
from edge.core.storage.damaged import remove

NAME = layout.CONTROL.name
MOST = 1 << 20
"""bytes of a line"""
PATIENCE = 10.0
"""seconds that a caller may take to say what it wants"""
BROKER = "broker"
"""operation: what ``edge doctor`` asks of the daemon's connection to the broker"""
BROKER_SECONDS = 4.0
"""for the answer to each of two publishes"""

log = logging.getLogger(__name__)

Operation = Callable[[dict[str, Any]], dict[str, Any]]


class Control:
    """Answers from ``start`` to ``stop``, one caller at a time, on a thread of its own."""

    def __init__(self, state: Path, operations: Mapping[str, Operation]) -> None:
        self._state, self._operations = state, operations
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Listen. A folder that takes no socket costs the commands that need one, not the daemon."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            remove(self._state / NAME)
            with _address(self._state) as address:
                listener.bind(address)
            (self._state / NAME).chmod(0o600)
            listener.listen(8)
        except OSError as error:
            listener.close()
            log.warning("commands on this machine cannot reach the daemon: %s", error)
            return
        self._socket = listener
        self._thread.start()

    def stop(self) -> None:
        if self._socket is None:
            return
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
        with suppress(OSError):
            (self._state / NAME).unlink()

    def _run(self) -> None:
        while self._socket is not None:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller, suppress(OSError, ValueError):
                caller.settimeout(PATIENCE)
                answer = self._answer(_line(caller))
                caller.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            operation, arguments = self._operations[asked["operation"]], dict(asked["arguments"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": "unknown operation", "hint": "restart it: another version is installed"}
        try:
            return {"answer": operation(arguments)}
        except EdgeError as error:
            return {"error": error.message, "hint": error.hint}
        except Exception as error:
            log.exception("%s failed", asked["operation"])
            return {"error": f"{type(error).__name__}: see the daemon's log", "hint": "report this as a bug"}


def ask(state: Path, operation: str, arguments: Mapping[str, object], timeout: float = 300.0) -> dict[str, Any]:
    """The answer of the daemon that runs on ``state``. Raises ConflictError where it cannot be reached, InputError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon, _address(state) as address:
            daemon.settimeout(timeout)
            daemon.connect(address)
            daemon.sendall(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
            answer = json.loads(_line(daemon))
    except (OSError, ValueError) as error:
        raise ConflictError(
            f"the daemon on {state} does not answer: {error}", "stop it (systemctl stop edge), and try again"
        ) from error
    if "error" in answer:
        raise InputError(f"the daemon says: {answer['error']}", str(answer.get("hint", "")), code="daemon")
    found: dict[str, Any] = answer["answer"]
    return found


@contextmanager
def _address(state: Path) -> Iterator[str]:
    """A path of the socket within the limit of 108 bytes, wherever the folder is."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)


def _line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk or len(data) > MOST:
            raise ValueError("incomplete request")
        data += chunk
    return data
