"""What scripts/quickstart does once it has an environment: broker, enrollment, daemon, subscriber.

Everything it starts it ends, and everything it writes is in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from quickstart_broker import broker, process, say, tail, until

from edge.cli.listen import line
from edge.core.errors import EdgeError
from edge.core.settings import template as config_file
from edge.mqtt.messages import WireEvent, parse

ROOT = Path(__file__).resolve().parent.parent
PORTRAITS = ROOT / "edge" / "data" / "portraits"
DEVICE, CAMERA, COLLECTION = "quickstart", "demo", "faces"
QUIET_SECONDS = 1.0
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
    parser = argparse.ArgumentParser(prog="scripts/quickstart", description="Watch the daemon recognize people.")
    parser.add_argument("--serve", action="store_true", help="run until Ctrl-C, with the owner's page")
    parser.add_argument(
        "--host", default="127.0.0.1", help="with --serve: the page's address; 0.0.0.0 opens it to the network"
    )
    options = parser.parse_args()
    serve, host = options.serve, options.host
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    heard = Heard()
    try:
        with ExitStack() as stack:
            show(heard, serve, host, stack)
    except KeyboardInterrupt:
        print()
    except EdgeError as error:
        print(f"error: {error.message}\ntry: {error.hint}", file=sys.stderr)
        return 1
    print(f"quickstart: {heard.events} events, {len(heard.subjects)} subjects recognized")
    return 0 if heard.subjects or serve else 1


def show(heard: Heard, serve: bool, host: str, stack: ExitStack) -> None:
    """Enroll, watch and listen, until the footage ends."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-quickstart-")))
    settings = folder / "edge.toml"
    models = chosen_models()
    mqtt = stack.enter_context(broker(folder))
    told = configuration(folder, models, mqtt, serve) | (served(host) if serve else {})
    settings.write_text(config_file.written(told), encoding="utf-8")
    say(f"settings and state are in {folder}")

    say(f"enrolling the portraits of {' and '.join(sorted(p.name for p in PORTRAITS.iterdir() if p.is_dir()))}")
    edge(settings, "enroll", COLLECTION, str(PORTRAITS))

    say("listening to the broker as edge listen does, and starting the daemon on footage made from the portraits")
    words = [*EDGE, "--config", str(settings)]
    logs = {name: folder / f"{name}.log" for name in ("listen", "run")}
    listener = stack.enter_context(process([*words, "listen", "--json"], logs["listen"], subprocess.PIPE))
    threading.Thread(target=follow, args=(listener, heard), daemon=True).start()
    until(lambda: b"listening" in logs["listen"].read_bytes(), listener, logs["listen"], "edge listen")
    daemon = stack.enter_context(process([*words, "run"], logs["run"]))
    if serve:
        say(f"Ctrl-C ends the quickstart; the owner's page is at {address(told)}")
    if daemon.wait() != 0:
        what = f"the daemon ended with code {daemon.returncode}:\n{tail(logs['run'])}"
        raise EdgeError(what, "read the lines above")
    ended = time.monotonic()
    while time.monotonic() - max(ended, heard.last) < QUIET_SECONDS:
        time.sleep(0.1)


@dataclass(frozen=True)
class Models:
    """The models to show."""

    detector: str
    embedder: str
    path: tuple[Path, ...] = ()


STARTERS = Models("edge-face-detector-2", "edge-face-embedder-1")


def chosen_models() -> Models:
    """The repository's own, or those for development that lie beside the checkout. Raises EdgeError."""
    if all(any((ROOT / "models" / name).glob("*.tflite")) for name in (STARTERS.detector, STARTERS.embedder)):
        return STARTERS
    shared = Path(os.environ.get("EDGE_SHARED", ROOT.parent / "shared")).resolve() / "models"
    if shared.is_dir():
        return Models("ulffd-landmark-320", "mobilefacenet-112-int8", (shared,))
    raise EdgeError(f"{ROOT / 'models'} has no starter models", "fetch the whole repository, models included")


def served(host: str) -> dict[str, Any]:
    """Settings of --serve: the page, with a token if other machines can reach it, and pictures of uncertain matches."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings: dict[str, Any] = {"api": {"enabled": True, "host": host, "port": port}}
    if not host.startswith("127."):
        settings["api"]["keys"] = {"QUICKSTART": secrets.token_urlsafe(24)}
        settings["page"] = {"token": secrets.token_urlsafe(9)}
    return settings | {"review": {"enabled": True, "crops": True}}


def address(told: dict[str, Any]) -> str:
    """Where the page is, and what it asks for."""
    host, token = told["api"]["host"], told.get("page", {}).get("token")
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"http://{shown}:{told['api']['port']}/" + (f", which asks for the token {token}" if token else "")


def configuration(folder: Path, models: Models, mqtt: dict[str, Any], serve: bool) -> dict[str, Any]:
    """What the daemon is told; the same as a file of a person's own would say."""
    return {
        "state": folder / "state",
        "device": {"name": DEVICE},
        "models": {"path": models.path},
        "mqtt": mqtt,
        "cameras": [
            {"name": CAMERA, "source": f"synthetic:{PORTRAITS}", "detectors": [models.detector], "loop": serve}
        ],
        "labels": {"face": {"embedder": models.embedder, "collection": COLLECTION}},
    }


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


if __name__ == "__main__":
    sys.exit(main())
