"""A hub publishes, a running daemon follows: real models, real signatures, real HTTP, no restart."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rigs import settings_files
from rigs.release_simulator import Site
from rigs.waiting import eventually

from edge.core.settings import Settings
from edge.core.settings import loader as config
from edge.core.types import Event, IdentityState
from edge.daemon.daemon import Daemon, Ending
from edge.hub.publishing.publisher import Desk
from edge.releases.manifest import Deployment

PORTRAITS = Path(__file__).parents[2] / "edge/data/portraits"
OTHER = "mobilefacenet-112-float"


@dataclass
class Running:
    """A daemon in this process, watching portraits pass by."""

    settings: Settings
    file: Path
    state: Path
    events: list[Event] = field(default_factory=list)
    gap: float = 0.0
    """seconds, the longest between two frames since it was set to 0"""

    def start(self) -> None:
        self.daemon = Daemon(self.settings, self.state, self.events.extend)
        self.thread = threading.Thread(target=self.daemon.run)
        self.thread.start()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        recent = self.daemon._health.cameras["door"].recent
        while self.thread.is_alive():
            times = [*(one.at for one in list(recent)[-2:]), time.monotonic()]
            self.gap = max([self.gap, *(b - a for a, b in itertools.pairwise(times))])
            time.sleep(0.02)

    def stop(self) -> None:
        self.daemon.ask(Ending.STOPPED)
        self.thread.join(30.0)

    def sync(self) -> dict[str, object]:
        command = [sys.executable, "-m", "edge", "--config", str(self.file), "sync", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def knows(self, subject: str, release: str) -> bool:
        return any(
            event.identity.state is IdentityState.KNOWN
            and event.identity.subject == subject
            and event.release == release
            for event in list(self.events)
        )


@pytest.fixture
def running(tmp_path: Path, shared_models: Path) -> Iterator[tuple[Running, Desk]]:
    hub = tmp_path / "hub"
    plain = config.read(settings_files.write(tmp_path / "desk", shared_models))
    desk = Desk(hub, plain)
    root = desk.repository.init()
    desk.add_model(settings_files.DETECTOR)
    desk.add_model(settings_files.EMBEDDER)
    site = Site(hub / "public")
    sync = {"url": site.url, "root": str(root), "reserve_bytes": 0, "probation": 8.0}
    camera = {"realtime": True, "loop": True, "fps": 5.0}
    file = settings_files.write(tmp_path / "device", shared_models, camera, sync=sync)
    settings = config.read(file)
    one = Running(settings, file, config.state_folder(settings))
    one.start()
    yield one, desk
    one.stop()
    site.close()


def release(desk: Desk) -> str:
    name = desk.publish().release.id
    desk.deploy(Deployment("all", 1, name))
    return name


@pytest.mark.long
@pytest.mark.timeout(600)
def test_people_and_models_arrive_while_the_daemon_looks(running: tuple[Running, Desk]) -> None:
    device, desk = running
    list(desk.add_collection("staff", PORTRAITS / "grace-hopper", "face", "grace"))
    first = release(desk)
    assert device.sync()["outcome"] == "installed"
    assert eventually(lambda: device.knows("grace", first), 60)

    list(desk.add_collection("staff", PORTRAITS / "eileen-collins", "face", "eileen"))
    second = release(desk)
    device.gap = 0.0
    fetched = device.sync()["received"]
    (segment,) = desk.release(second).blobs().keys() - desk.release(first).blobs().keys()
    assert fetched == desk.release(second).blobs()[segment]
    assert eventually(lambda: device.knows("eileen", second), 60)
    print(f"one picture more: {fetched} bytes, longest gap between two frames {device.gap:.2f} s")

    desk.add_model(OTHER, settings_files.EMBEDDER)
    for name, subject in (("grace-hopper", "grace"), ("eileen-collins", "eileen")):
        list(desk.add_collection("staff", PORTRAITS / name, "face", subject))
    third = release(desk)
    device.gap = 0.0
    device.sync()
    assert eventually(lambda: device.knows("eileen", third) and device.knows("grace", third), 60)
    print(f"another embedder: longest gap between two frames {device.gap:.2f} s")
    assert device.daemon._health.problems == {}
