"""A broker that speaks MQTT 3.1.1 alone, in one small file: it answers MQTT 5 with "unacceptable protocol version"."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

from rigs.scripted_broker import ScriptedBroker

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14


@dataclass
class OldBroker(ScriptedBroker):
    """``with OldBroker() as broker``: keeps what was published; passes nothing on."""

    answer: int = 0
    """return code of CONNACK to a 3.1.1 client: 0 accepted, 4 bad user name or password, 5 not authorised"""
    granted: int = 1
    """what a subscription gets: a QoS, or 128 for none"""
    mute: bool = False
    """MQTT 5 gets no answer at all, only the end of the connection"""
    levels: list[int] = field(default_factory=list)
    """protocol levels of the connects so far: 4 is 3.1.1, 5 is 5"""
    published: list[tuple[str, bytes]] = field(default_factory=list)

    def answer_to(self, link: socket.socket, head: int, body: bytes) -> bool:
        kind = head >> 4
        if kind == CONNECT:
            level = body[6]
            self.levels.append(level)
            if self.mute and level == 5:
                return False
            code = self.answer if level == 4 else 1
            link.sendall(bytes([0x20, 2, 0, code]))
            return code == 0
        if kind == PUBLISH:
            self._publish(link, head, body)
        elif kind == SUBSCRIBE:
            link.sendall(bytes([0x90, 3, body[0], body[1], self.granted]))
        elif kind == PINGREQ:
            link.sendall(b"\xd0\x00")
        return kind != DISCONNECT

    def _publish(self, link: socket.socket, head: int, body: bytes) -> None:
        (size,) = struct.unpack("!H", body[:2])
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        if head & 0x06:
            link.sendall(b"\x40\x02" + rest[:2])
            rest = rest[2:]
        self.published.append((topic, rest))
