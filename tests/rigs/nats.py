"""A real NATS server that speaks MQTT 3.1.1: another implementation than mosquitto."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rigs.mosquitto import free_port
from typing_extensions import Self


@dataclass
class Nats:
    """``with Nats(folder) as broker``: MQTT on ``broker.port``."""

    folder: Path
    port: int = 0
    client_port: int = 0
    """of the NATS protocol"""
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        found = shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if not found:
            pytest.skip("needs another broker: apt-get install nats-server")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.client_port = self.port or free_port(), self.client_port or free_port()
        file = self.folder / "nats.conf"
        file.write_text(
            f"host: 127.0.0.1\nport: {self.client_port}\nserver_name: edge\n"
            f'jetstream {{ store_dir: "{self.folder}/store" }}\n'
            f"mqtt {{ host: 127.0.0.1, port: {self.port} }}\n"
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([found, "-c", str(file)], stdout=log, stderr=log)
        until = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
