"""A real PostgreSQL in a folder, on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rigs.mosquitto import free_port
from typing_extensions import Self


def programs() -> Path:
    """The folder of initdb and postgres; skips the test where there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in (*debian, Path("/usr/local/bin"), Path("/usr/bin"), Path("/opt/homebrew/bin")):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("needs PostgreSQL: apt-get install postgresql")


def unprivileged() -> str | None:
    """A user to run as: PostgreSQL refuses root. None: as we are."""
    if os.geteuid() != 0:
        return None
    if not shutil.which("setpriv"):
        pytest.skip("PostgreSQL does not run as root, and setpriv is not here to become somebody else")
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is nobody else")


@dataclass
class Postgres:
    """``with Postgres(folder) as server``."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __enter__(self) -> Self:
        pytest.importorskip("psycopg", reason="needs psycopg: pip install 'rekognition-edge[hub]'")
        self._bin, self._user = programs(), unprivileged()
        # pytest's folders are closed to others
        self._data = Path(subprocess.check_output(["mktemp", "-d", "/tmp/edge-pg-XXXXXX"], text=True).strip())
        if self._user:
            shutil.chown(self._data, self._user)
        made = self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "edge", "--no-sync", "-E", "UTF8")
        if made.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            pytest.skip(f"initdb does not work here: {made.stderr[-300:]}")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def start(self) -> None:
        self.port = self.port or free_port()
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", "", "-c", "max_connections=30", "-c", "fsync=off"]
        log = (self.folder / "postgres.log").open("ab")
        self.process = subprocess.Popen(
            [*self._prefix(), str(self._bin / "postgres"), "-D", str(self._data), *options], stdout=log, stderr=log
        )
        log.close()
        self._await()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            self.process = None

    def kill(self) -> None:
        """kill -9 of the server and of the processes that it started: no client is told, nothing is written."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        self.process.wait(20)
        self.process = None
        for child in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        while any(_runs(child) for child in map(int, children)):
            time.sleep(0.01)

    def new_database(self) -> str:
        """The address of an empty database."""
        import psycopg

        name = f"edge{next(self._numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://edge@127.0.0.1:{self.port}/{name}"

    def _await(self) -> None:
        import psycopg

        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self.process is None or self.process.poll() is not None:
                    text = (self.folder / "postgres.log").read_text(errors="replace")
                    raise AssertionError(f"PostgreSQL does not answer: {text[-2000:]}") from None
                time.sleep(0.1)
            else:
                return

    def _prefix(self) -> list[str]:
        return ["setpriv", f"--reuid={self._user}", "--clear-groups"] if self._user else []

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self._prefix(), str(self._bin / program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


def _runs(pid: int) -> bool:
    """Whether a process holds memory still: not one that has ended and that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
