"""A broker for the quickstart: the one that the environment names, mosquitto where it is installed, else amqtt."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.errors import EdgeError

START_SECONDS = 120.0
"""for a program to be ready; a small board takes a while to import"""
AMQTT = "amqtt>=0.12,<1"
AMQTT_SETTINGS = """\
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


@dataclass(frozen=True)
class Broker:
    """A program to start, and what [mqtt] says to reach it."""

    command: list[str]
    settings: dict[str, Any]


@contextmanager
def broker(folder: Path) -> Iterator[dict[str, Any]]:
    """A broker while the block runs, as what [mqtt] says of it. Raises EdgeError."""
    if host := os.environ.get("EDGE_MQTT__HOST"):
        say(f"using the broker {host}")
        yield {}
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    chosen = mosquitto(folder, port) or amqtt(folder, port)
    with process(chosen.command, folder / "broker.log") as started:
        until(lambda: answers(port), started, folder / "broker.log", "the broker")
        yield {"host": "127.0.0.1", "port": port, **chosen.settings}


def mosquitto(folder: Path, port: int) -> Broker | None:
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not program:
        return None
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
    say(f"starting mosquitto on 127.0.0.1:{port}")
    return Broker([program, "-c", str(file)], {})


def amqtt(folder: Path, port: int) -> Broker:
    """A broker in Python, put into this environment where it is not yet. It speaks MQTT 3.1.1 alone."""
    program = Path(sys.executable).with_name("amqtt")
    if not program.exists():
        say(f"mosquitto is not installed; installing {AMQTT}, a broker in Python, into this environment")
        install = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", AMQTT]
        with (folder / "install.log").open("wb") as log:
            code = subprocess.run(install, stdout=log, stderr=log, check=False).returncode
        if code != 0:
            what = f"installing a broker failed:\n{tail(folder / 'install.log')}"
            raise EdgeError(what, "install mosquitto, or set EDGE_MQTT__HOST to a broker that runs")
    file = folder / "amqtt.yaml"
    file.write_text(AMQTT_SETTINGS.format(port=port), encoding="utf-8")
    say(f"starting amqtt on 127.0.0.1:{port}")
    return Broker([str(program), "-c", str(file)], {"version": "3.1.1"})


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(command: list[str], log: Path, output: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A program that ends with the block, asked first. ``output``: where its stdout goes. Raises EdgeError."""
    with log.open("wb") as errors:
        try:
            started = subprocess.Popen(command, stdout=output, stderr=errors, stdin=subprocess.DEVNULL, text=True)
        except OSError as error:
            raise EdgeError(f"{command[0]} cannot be started: {error}", "check that it is whole") from error
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def until(ready: Callable[[], bool], started: subprocess.Popen[str], log: Path, name: str) -> None:
    """Wait for a program to be ready. Raises EdgeError."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if started.poll() is not None or time.monotonic() > deadline:
            raise EdgeError(f"{name} did not start:\n{tail(log)}", "set EDGE_MQTT__HOST to a broker that runs")
        time.sleep(0.05)


def tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def say(text: str) -> None:
    print(f"quickstart: {text}", flush=True)
