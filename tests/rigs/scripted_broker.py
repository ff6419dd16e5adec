"""A broker of our own on the loopback interface: its subclass decides what each packet is answered with."""

from __future__ import annotations

import socket
import struct
import threading
from typing import IO

from typing_extensions import Self


class ScriptedBroker:
    """A context manager. One thread per connection; what it serves ends with the connection."""

    port: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="scripted-broker", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def answer_to(self, link: socket.socket, head: int, body: bytes) -> bool:
        """Answer one packet; False closes the connection. ``head``: the first byte of the packet."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), name="scripted-broker-link", daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, link.makefile("rb") as stream:
            try:
                while (head := stream.read(1)) and self.answer_to(link, head[0], stream.read(_length(stream))):
                    pass
            except (OSError, struct.error):
                return


def _length(stream: IO[bytes]) -> int:
    """The remaining length of a packet (MQTT 5, section 1.5.5)."""
    value, shift = 0, 0
    while True:
        (byte,) = stream.read(1) or b"\x00"
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value
