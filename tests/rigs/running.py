"""The real program as a process: ``edge run`` with footage made from the sample portraits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rigs import settings_files
from rigs.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Running:
    """``edge run`` on one state folder; its events as printed, its log as text."""

    folder: Path
    models: Path | None = None
    """more models than the shipped ones"""
    camera: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _watched: int = 0
    """starts of earlier processes that came to watch"""

    def edge(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge", "--config", str(self.config()), *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=os.environ | environment,
        )

    def config(self) -> Path:
        return settings_files.write(self.folder, self.models, self.camera, **self.settings)

    def enroll(self) -> None:
        done = self.edge("enroll", "faces", str(ROOT / "edge/data/portraits"))
        assert done.returncode == 0, done.stderr

    def start(self, **environment: str) -> None:
        self._watched = self.log.count("watching door")
        with (self.folder / "events").open("ab") as out, (self.folder / "log").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge", "--config", str(self.config()), "run", "--print"],
                stdout=out,
                stderr=err,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        """However it goes on, it ends."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait(self, seconds: float = 60) -> int:
        assert self.process
        return self.process.wait(seconds)

    def await_watching(self) -> None:
        """Until the process started last is at work."""
        assert eventually(lambda: self.log.count("watching door") > self._watched, 90), self.log

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """As printed; a line that a kill cut off is not one."""
        path = self.folder / "events"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]
