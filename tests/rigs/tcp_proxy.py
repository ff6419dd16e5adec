"""A TCP proxy on 127.0.0.1 that passes, swallows (a half-open link) or cuts what goes through it."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time

from typing_extensions import Self


class TcpProxy:
    """``with TcpProxy(target_port) as proxy``: connect to ``proxy.port``."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        """seconds before each chunk is passed on"""
        self.connections = 0
        self._hole = False
        self._closing = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._listener.close()
        self.cut()

    def pass_on(self) -> None:
        """As it should be."""
        self._hole = False

    def blackhole(self) -> None:
        """Take every byte and every connection, and pass nothing on."""
        self._hole = True

    def cut(self) -> None:
        """Reset every connection there is."""
        for pair in list(self._pairs):
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.close()
        self._pairs.clear()

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(near,), name="proxy-pair", daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            near.close()
            return
        pair = (near, far)
        for end in pair:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.add(pair)
        with contextlib.suppress(OSError, ValueError):
            self._pump(near, far)
        self._pairs.discard(pair)
        near.close()
        far.close()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        while not self._closing:
            readable, _, _ = select.select([near, far], [], [], 0.2)
            for end in readable:
                data = end.recv(65536)
                if not data:
                    return
                if self.delay:
                    time.sleep(self.delay)
                if not self._hole:
                    other[end].sendall(data)
