"""A Debian with systemd as PID 1: systemd-nspawn on a tree that debootstrap makes once.

Needs root, debootstrap and systemd-nspawn. The tree and its wheels are kept below $EDGE_TEST_TREES (or the user's cache
folder); a box writes into an overlay and does not change them. A box has no network except loopback.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

import pytest
from rigs.waiting import eventually
from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
TREES = Path(os.environ.get("EDGE_TEST_TREES", Path.home() / ".cache/edge-test-trees"))
PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-venv,python3-dev,g++,ca-certificates,procps,mosquitto,mosquitto-clients"
)
BUILD = "hatchling editables setuptools wheel"
"""build requirements for pip without a network"""
PIP_FILES = ("/etc/pip.conf", "/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")
"""files that configure pip's access to the package index on this machine"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HALT = signal.SIGRTMIN + 4
"""signal at which PID 1 powers off"""


def needed() -> None:
    """Skip the test if a box cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a box is a container of systemd-nspawn")
    missing = [name for name in ("debootstrap", "systemd-nspawn") if not shutil.which(name, path=PATH)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install debootstrap systemd-container")


def tree(suite: str) -> Path:
    """The tree of a Debian suite, made on first use (minutes). Skips if it cannot be made."""
    folder = TREES / suite
    if not (folder / "complete").exists():
        TREES.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(folder)]
        made = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": PATH})
        if made.returncode:
            pytest.skip(f"debootstrap could not make a tree of {suite}: {made.stdout[-300:]}")
        (folder / "complete").touch()
    return folder


def wheels(suite: str) -> Path:
    """Wheels of all dependencies, built with the Python of that suite on first use."""
    folder = TREES / f"{suite}-wheels"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        there = [name for name in PIP_FILES if Path(name).exists()]
        pip = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")]
        command = (
            "python3 -m venv /tmp/env && /tmp/env/bin/pip install -q setuptools wheel"
            f" && /tmp/env/bin/pip wheel -q -w /wheels '/checkout[api,sync,annoy]' {BUILD}"
        )
        made = subprocess.run(
            [
                "systemd-nspawn", "-q", "--volatile=overlay", "-D", str(tree(suite)), "--register=no", "--keep-unit",
                "--console=pipe", "--resolv-conf=off", f"--bind={folder}:/wheels", f"--bind-ro={ROOT}:/checkout",
                *(f"--bind-ro={name}" for name in there), *(f"--setenv={one}" for one in pip),
                "/bin/sh", "-c", command,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"pip could not make the wheels for {suite}: {made.stderr[-500:]}")
        for own in folder.glob("rekognition_edge-*.whl"):
            own.unlink()
        (folder / "complete").touch()
    return folder


def checkout(folder: Path) -> Path:
    """A copy of this working tree without ignored files."""
    command = ["git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard"]
    for name in subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


class Box:
    """A booted tree. ``folder`` holds the overlay and ``shared``, which the box sees as ``/box``."""

    def __init__(self, suite: str, folder: Path) -> None:
        needed()
        self.suite = suite
        self._lower, self._wheels = tree(suite), wheels(suite)
        self._folder, self._root = folder, folder / "root"
        self.shared = folder / "shared"
        self._name = f"edge-{suite}-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        for name in ("root", "upper", "work", "shared"):
            (self._folder / name).mkdir(parents=True)
        layers = f"lowerdir={self._lower},upperdir={self._folder}/upper,workdir={self._folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self._root)], check=True)
        with (self._folder / "console").open("wb") as console:
            self._process = subprocess.Popen(
                [
                    "systemd-nspawn", "-D", str(self._root), "-M", self._name, "--register=no", "--keep-unit",
                    "--private-network", "--console=pipe", f"--bind={self.shared}:/box",
                    f"--bind-ro={self._wheels}:/wheels", "-b",
                ],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env=os.environ | {"UNIFIED_CGROUP_HIERARCHY": "yes"},
            )  # fmt: skip
        try:
            self._leader = self._first_child()
            booted = eventually(lambda: self.run("systemctl", "is-system-running").stdout.strip() in STATES, 120)
            assert booted, (self._folder / "console").read_text(errors="replace")[-2000:]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def run(self, *command: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the box, as root."""
        given = [f"{name}={value}" for name, value in environment.items()]
        inside = ["/usr/bin/env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", *given, *command]
        return subprocess.run(
            ["nsenter", "-t", str(self._leader), "-a", *inside],
            capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def sh(self, script: str, timeout: float = 120) -> str:
        """Output of a script in the box; it must succeed."""
        done = self.run("/bin/bash", "-euo", "pipefail", "-c", script, timeout=timeout)
        assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").stdout.strip()

    def journal(self, unit: str = "edge") -> str:
        return self.run("journalctl", "-u", unit, "-o", "short-monotonic", "--no-pager").stdout

    def write(self, path: str, text: str) -> None:
        """Write a file in the box, owned by root."""
        (self.shared / "written").write_text(text)
        self.sh(f"install -D -m 644 /box/written {path}")

    def _first_child(self) -> int:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")

        def leader() -> list[str]:
            found = children.read_text().split() if children.exists() else []
            return [one for one in found if Path(f"/proc/{one}/comm").read_text().strip() in ("systemd", "init")]

        assert eventually(leader, 60), (self._folder / "console").read_text(errors="replace")[-2000:]
        return int(leader()[0])

    def _end(self) -> None:
        """Power off. nspawn itself is not killed, because its PID 1 would continue to run."""
        if self._process is not None and self._process.poll() is None:
            if self._leader:
                os.kill(self._leader, HALT)
            else:
                self._process.terminate()
            try:
                self._process.wait(90)
            except subprocess.TimeoutExpired:
                os.kill(self._leader, signal.SIGKILL)
                self._process.wait(30)
        for _ in range(10):
            if subprocess.run(["umount", str(self._root)], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(1)
        shutil.rmtree(self._folder, ignore_errors=True)


STATES = ("running", "degraded")
