"""A daemon in this process that follows a hub's releases."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from edge.core.settings.schema import Settings
from edge.core.types import Event, IdentityState
from edge.daemon.daemon import Daemon, Ending
from edge.hub.publishing.publisher import ReleasePublisher
from edge.releases.manifest import Deployment


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


def release(desk: ReleasePublisher) -> str:
    name = desk.publish().release.id
    desk.deploy(Deployment("all", 1, name))
    return name
