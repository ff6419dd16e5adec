"""A broker that refuses, closes or ignores in the way that it is told."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Literal, Self

CONNECT, CONNACK, PUBLISH, DISCONNECT = 1, 2, 3, 14
Manner = Literal["connack", "close", "ignore", "close after connack", "ignore publishes", "disconnect", "tls only"]


@dataclass
class RefusingBroker:
    """``with RefusingBroker("connack", 0x97) as broker``."""

    manner: Manner
    code: int = 0
    """reason code of MQTT 5 for ``connack`` and ``disconnect``; in 3.1.1, 1 to 5"""
    times: list[float] = field(default_factory=list)
    """of the connects, monotonic"""
    port: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, link.makefile("rb") as stream:
            try:
                while head := stream.read(1):
                    if not self._answer(link, head[0] >> 4, stream.read(_length(stream))):
                        return
            except (OSError, struct.error):
                return

    def _answer(self, link: socket.socket, kind: int, body: bytes) -> bool:
        if kind == CONNECT:
            self.times.append(time.monotonic())
            self._modern = body[6] == 5
            if self.manner in ("close", "tls only"):
                return False
            if self.manner != "ignore":
                code = self.code if self.manner == "connack" else 0
                link.sendall(_packet(CONNACK << 4, bytes([0, code]) + (b"\0" if self._modern else b"")))
                return code == 0 and self.manner != "close after connack"
        if kind == PUBLISH and self.manner == "disconnect":
            if self._modern:
                link.sendall(_packet(DISCONNECT << 4, bytes([self.code, 0])))
            return False
        return True


def _length(stream: object) -> int:
    value, shift = 0, 0
    while True:
        byte = stream.read(1)[0]  # type: ignore[attr-defined]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7


def _packet(head: int, body: bytes) -> bytes:
    return bytes([head, len(body)]) + body
