"""A broker that refuses, closes or ignores in the way that it is told."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import Literal

from rigs.scripted_broker import ScriptedBroker

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14
Manner = Literal["connack", "close", "ignore", "close after connack", "ignore publishes", "disconnect", "tls only",
                 "refuse subscriptions"]  # fmt: skip


@dataclass
class RefusingBroker(ScriptedBroker):
    """``with RefusingBroker("connack", 0x97) as broker``."""

    manner: Manner
    code: int = 0
    """reason code of MQTT 5 for ``connack`` and ``disconnect``; in 3.1.1, 1 to 5"""
    times: list[float] = field(default_factory=list)
    """of the connects, monotonic"""
    refusals: int = 0
    """``refuse subscriptions``: how many SUBSCRIBE packets are refused, before the others are granted"""

    def answer_to(self, link: socket.socket, head: int, body: bytes) -> bool:
        kind = head >> 4
        if kind == CONNECT:
            self.times.append(time.monotonic())
            self._modern = body[6] == 5
            if self.manner in ("close", "tls only"):
                return False
            if self.manner != "ignore":
                code = self.code if self.manner == "connack" else 0
                link.sendall(_packet(CONNACK << 4, bytes([0, code]) + (b"\0" if self._modern else b"")))
                return code == 0 and self.manner != "close after connack"
        if kind == SUBSCRIBE and self.manner == "refuse subscriptions":
            self.refusals -= 1
            code = self.code if self.refusals >= 0 else 1
            link.sendall(_packet(SUBACK << 4, body[:2] + (b"\0" if self._modern else b"") + bytes([code])))
        if kind == PUBLISH and self.manner == "refuse subscriptions" and head & 2:
            after = 2 + int.from_bytes(body[:2], "big")
            link.sendall(_packet(PUBACK << 4, body[after : after + 2]))
        if kind == PUBLISH and self.manner == "disconnect":
            if self._modern:
                link.sendall(_packet(DISCONNECT << 4, bytes([self.code, 0])))
            return False
        return True


def _packet(head: int, body: bytes) -> bytes:
    return bytes([head, len(body)]) + body
