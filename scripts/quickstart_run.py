"""What scripts/quickstart does once it has an environment: broker, enrolment, daemon, subscriber.

Everything it starts it ends, and everything it writes is in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from edge import config_file
from edge.cli.listen import line
from edge.errors import EdgeError
from edge.mqtt.messages import WireEvent, parse

ROOT = Path(__file__).resolve().parent.parent
PORTRAITS = ROOT / "edge" / "data" / "portraits"
DEVICE, CAMERA, COLLECTION = "quickstart", "demo", "faces"
START_SECONDS = 15.0
"""for the broker and the subscriber"""
AMQTT = "amqtt>=0.12,<1"
QUIET_SECONDS = 2.0
"""without a message after the daemon's end: then all has arrived"""
EDGE = (sys.executable, "-m", "edge")


@dataclass
class Heard:
    """What the subscriber received."""

    events: int = 0
    subjects: set[str] = field(default_factory=set)
    last: float = field(default_factory=time.monotonic)
    """monotonic seconds of the latest message"""

    def message(self, text: str) -> None:
        event = parse(WireEvent, text.encode())
        self.last = time.monotonic()
        self.events += 1
        if event.identity.state == "known" and event.identity.subject:
            self.subjects.add(event.identity.subject)
        print(line(event), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/quickstart", description="Watch the daemon recognise people.")
    parser.add_argument("--serve", action="store_true", help="go on until Ctrl-C")
    serve = parser.parse_args().serve
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    heard = Heard()
    try:
        with ExitStack() as stack:
            show(heard, serve, stack)
    except KeyboardInterrupt:
        print()
    except EdgeError as error:
        print(f"error: {error.message}\ntry: {error.hint}", file=sys.stderr)
        return 1
    print(f"quickstart: {heard.events} events, {len(heard.subjects)} subjects recognised")
    return 0 if heard.subjects or serve else 1


def show(heard: Heard, serve: bool, stack: ExitStack) -> None:
    """Enroll, watch and listen, until the footage ends."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-quickstart-")))
    settings = folder / "edge.toml"
    models = chosen_models()
    host, port = stack.enter_context(broker(folder))
    values = configuration(folder, models, host, port, serve)
    settings.write_text(config_file.written(values), encoding="utf-8")
    say(f"settings and state are in {folder}")

    say(f"enrolling the portraits of {' and '.join(sorted(p.name for p in PORTRAITS.iterdir() if p.is_dir()))}")
    edge(settings, "enroll", COLLECTION, str(PORTRAITS))

    say("listening to the broker as edge listen does, and starting the daemon on footage made from the portraits")
    listener = stack.enter_context(
        process([*EDGE, "--config", str(settings), "listen", "--json"], folder / "listen.log")
    )
    threading.Thread(target=follow, args=(listener, heard), daemon=True).start()
    until(lambda: b"listening" in (folder / "listen.log").read_bytes(), listener, folder / "listen.log", "edge listen")
    daemon = stack.enter_context(process([*EDGE, "--config", str(settings), "run"], folder / "run.log"))
    if daemon.wait() != 0:
        raise EdgeError(
            f"the daemon ended with code {daemon.returncode}:\n{tail(folder / 'run.log')}", "read the lines above"
        )
    while time.monotonic() - heard.last < QUIET_SECONDS:
        time.sleep(0.1)


@dataclass(frozen=True)
class Models:
    """The models to show."""

    detector: str
    embedder: str
    path: tuple[Path, ...] = ()


STARTERS = Models("edge-face-detector-1", "edge-face-embedder-1")


def chosen_models() -> Models:
    """The repository's own, or those for development that lie beside the checkout. Raises EdgeError."""
    if all(any((ROOT / "models" / name).glob("*.tflite")) for name in (STARTERS.detector, STARTERS.embedder)):
        return STARTERS
    shared = Path(os.environ.get("EDGE_SHARED", ROOT.parent / "shared")).resolve() / "models"
    if shared.is_dir():
        return Models("ulffd-landmark-320", "mobilefacenet-112-int8", (shared,))
    raise EdgeError(f"{ROOT / 'models'} has no starter models", "fetch the whole repository, models included")


def configuration(folder: Path, models: Models, host: str, port: int, serve: bool) -> dict[str, Any]:
    """What the daemon is told; the same as a file of a person's own would say."""
    return {
        "state": folder / "state",
        "device": {"name": DEVICE},
        "models": {"path": models.path},
        "mqtt": {"host": host, "port": port} if host else {},
        "cameras": [
            {"name": CAMERA, "source": f"synthetic:{PORTRAITS}", "detectors": [models.detector], "loop": serve}
        ],
        "labels": {"face": {"embedder": models.embedder, "collection": COLLECTION}},
    }


@contextmanager
def broker(folder: Path) -> Iterator[tuple[str, int]]:
    """A broker's host and port: the one that the environment names ("" and 0), or one of our own on a free port."""
    if host := os.environ.get("EDGE_MQTT__HOST"):
        say(f"using the broker {host}")
        yield "", 0
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with process(broker_command(folder, port), folder / "broker.log") as started:
        until(lambda: answers(port), started, folder / "broker.log", "the broker")
        yield "127.0.0.1", port


def broker_command(folder: Path, port: int) -> list[str]:
    """Mosquitto where it is installed, else amqtt, which is then put into this environment."""
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if mosquitto:
        file = folder / "mosquitto.conf"
        file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
        say(f"starting mosquitto on 127.0.0.1:{port}")
        return [mosquitto, "-c", str(file)]
    file = folder / "amqtt.yaml"
    file.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n",
        encoding="utf-8",
    )
    amqtt = Path(sys.executable).with_name("amqtt")
    if not amqtt.exists():
        say(f"mosquitto is not installed; installing {AMQTT}, a broker in Python, into this environment")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", AMQTT]
        with (folder / "install.log").open("wb") as log:
            code = subprocess.run(install, stdout=log, stderr=log, check=False).returncode
        if code != 0:
            raise EdgeError(
                f"installing a broker failed:\n{tail(folder / 'install.log')}",
                "install mosquitto, or set EDGE_MQTT__HOST to a broker",
            )
    say(f"starting amqtt on 127.0.0.1:{port}")
    return [str(amqtt), "-c", str(file)]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that ends with the block, asked first."""
    with log.open("wb") as errors:
        try:
            started = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True
            )
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
    """Wait for a program to be ready."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if started.poll() is not None or time.monotonic() > deadline:
            raise EdgeError(f"{name} did not start:\n{tail(log)}", "set EDGE_MQTT__HOST to a broker that runs")
        time.sleep(0.05)


def edge(settings: Path, *words: str) -> None:
    """Run a command to its end, what it answers indented below ours."""
    log = settings.with_name(f"{words[0]}.log")
    with log.open("wb") as errors:
        command = [*EDGE, "--config", str(settings), *words]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
    for text in result.stdout.splitlines():
        print(f"  {text}")
    if result.returncode != 0:
        raise EdgeError(f"edge {words[0]} ended with code {result.returncode}:\n{tail(log)}", "read the lines above")


def follow(listener: subprocess.Popen[str], heard: Heard) -> None:
    lines: IO[str] | None = listener.stdout
    for text in lines or ():
        heard.message(text)


def tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def say(text: str) -> None:
    print(f"quickstart: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
