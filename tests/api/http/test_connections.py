"""Connections: so many at once, and none that waits for long."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from rigs.waiting import eventually

from edge.api.http import connections
from edge.api.http.connections import Connections, protocol_of


@dataclass
class Served:
    guards: Connections
    port: int

    def connect(self, data: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        made.sendall(data)
        return made


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and answers so many bytes as the path says."""
    while (await receive()).get("more_body"):
        pass
    size = int(scope["path"].strip("/") or 2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(size).encode())]})
    await send({"type": "http.response.body", "body": b"x" * size})


@pytest.fixture
def served() -> Iterator[Served]:
    guards = Connections(8)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=protocol_of(guards), ws="none", lifespan="off", log_config=None, backlog=16)

    class Server(uvicorn.Server):
        async def on_tick(self, counter: int) -> bool:
            guards.sweep()
            return await super().on_tick(counter)

    server = Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    assert eventually(lambda: server.started, 10)
    yield Served(guards, listener.getsockname()[1])
    server.should_exit = True
    thread.join(10)


GET = b"GET /%d HTTP/1.1\r\nHost: device\r\n\r\n"


def answered(connection: socket.socket, size: int = 2) -> bool:
    connection.sendall(GET % size)
    return connection.recv(64).startswith(b"HTTP/1.1 200")


def is_closed(connection: socket.socket) -> bool:
    try:
        connection.setblocking(False)
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_a_newcomer_takes_the_place_of_who_waits_longest(served: Served) -> None:
    idle = []
    for _ in range(30):
        idle.append(served.connect())
        assert eventually(lambda: len(served.guards) > 0, 5)
    newcomer = served.connect()

    assert answered(newcomer)
    assert eventually(lambda: sum(is_closed(one) for one in idle) >= 30 - 8, 10)
    assert len(served.guards) <= 8


def test_bodies_that_drip_give_way_as_well(served: Served) -> None:
    dripping = [served.connect(b"POST /2 HTTP/1.1\r\nHost: d\r\nContent-Length: 999\r\n\r\nx") for _ in range(8)]
    assert eventually(lambda: len(served.guards) == 8, 5)

    assert answered(served.connect())
    assert eventually(lambda: any(is_closed(one) for one in dripping), 5)


def test_who_sends_no_whole_request_is_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WAITING_SECONDS", 0.3)
    for data in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: device\r\nX-Long: "):
        connection = served.connect(data)
        assert eventually(lambda one=connection: is_closed(one), 10)  # type: ignore[misc]
    assert eventually(lambda: len(served.guards) == 0, 5)


def test_who_does_not_read_an_answer_is_closed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SLOW_READER_SECONDS", 0.3)
    connection = served.connect(GET % 50_000_000)
    assert eventually(lambda: len(served.guards) == 1, 5)

    assert eventually(lambda: len(served.guards) == 0, 15)
    connection.close()


def test_a_kept_connection_answers_again(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/2")
        assert connection.getresponse().read() == b"xx"
    assert len(served.guards) == 1
    connection.close()
