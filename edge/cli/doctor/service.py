"""Checks of the settings file and of the systemd service."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edge.api.http.listener import refuse_open_door
from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.settings.schema import Settings
from edge.pipeline.health import SHEDS

SHOWN = ("LoadState", "ActiveState", "SubState", "NRestarts", "Result", "WatchdogUSec", "StatusText")
CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""made by Docker and Podman in each container"""
INSTALL = "sudo scripts/install in a checkout of this repository, or install the Debian package"


def configuration(context: DoctorContext) -> Iterator[Finding]:
    """Check that the settings file is private, and that required packages are installed.

    Raises SettingsError where the daemon would not start.
    """
    path, settings = context.loaded.path, context.settings
    if path is None:
        yield Finding(Level.NOTE, "configuration", "no settings file: all defaults", "", "create /etc/edge/edge.toml")
    else:
        if path.stat().st_mode & 0o004 and _has_secret(settings, context):
            yield Finding(
                Level.WARNING, "configuration", f"{path} contains a password and is world-readable", "",
                f"chmod 640 {path}, or put the password into a credential",
            )  # fmt: skip
        yield Finding(Level.OK, "configuration", f"{path} is valid")
    if settings.api.enabled and importlib.util.find_spec("uvicorn") is None:
        yield Finding(
            Level.ERROR, "configuration", "api.enabled is set, but the Python package uvicorn is not installed",
            "the daemon cannot serve the endpoint", "pip install 'rekognition-edge[api]'",
        )  # fmt: skip
    if settings.api.enabled:
        refuse_open_door(settings.api)


def service(context: DoctorContext) -> Iterator[Finding]:
    """Check that the unit runs, and was not restarted."""
    shown = _shown(context.unit)
    if shown.get("LoadState") != "loaded" and any(file.exists() for file in CONTAINER_FILES):
        yield Finding(Level.OK, "service", "runs in a container")
        return
    if shown.get("LoadState") != "loaded":
        process = f"process {context.daemon} is not a service" if context.daemon else "the daemon does not run"
        yield Finding(Level.NOTE, "service", f"no service is installed: {process}", "", INSTALL)
        return
    active = f"{shown.get('ActiveState')} ({shown.get('SubState')})"
    restarts = int(shown.get("NRestarts", "0") or 0)
    if shown.get("ActiveState") not in ("active", "reloading"):
        yield Finding(
            Level.ERROR, "service", f"the service {context.unit} is {active}", f"last result: {shown.get('Result')}",
            f"journalctl -u {context.unit} -n 50, then systemctl restart {context.unit}",
        )  # fmt: skip
    elif restarts:
        yield Finding(
            Level.WARNING, "service", f"restarts of {context.unit} since the boot: {restarts}",
            "it crashed, or hung and was killed by the watchdog", f"journalctl -u {context.unit} -p warning",
        )  # fmt: skip
    elif SHEDS in shown.get("StatusText", ""):
        yield Finding(
            Level.WARNING, "service", f"the daemon sheds load: {shown['StatusText'].partition(SHEDS)[2]}",
            "the board is hot, under-voltage, or overloaded",
            "cool it, or reduce the load: cameras.fps, smaller models",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "service", f"{context.unit} is {active}: {shown.get('StatusText', '')}".rstrip(": "))


def watchdog(context: DoctorContext) -> Iterator[Finding]:
    """Check the watchdogs: systemd's for the daemon, the hardware's for systemd."""
    shown = _shown(context.unit)
    if shown.get("LoadState") != "loaded":
        return
    if shown.get("WatchdogUSec", "0") in ("0", "", "infinity"):
        yield Finding(
            Level.WARNING, "watchdog", f"{context.unit} has no WatchdogSec", "a hung daemon is not restarted",
            "install the unit of systemd/edge.service",
        )  # fmt: skip
    if _shown("")["RuntimeWatchdogUSec"] in ("0", "", "infinity"):
        yield Finding(
            Level.NOTE, "watchdog", "the hardware watchdog is off", "the board does not recover from a hung kernel",
            "set RuntimeWatchdogSec=15 in /etc/systemd/system.conf",
        )  # fmt: skip


def _shown(unit: str) -> dict[str, str]:
    """Properties of a unit, or of systemd itself for an empty name; empty strings without systemd."""
    names = SHOWN if unit else ("RuntimeWatchdogUSec",)
    properties = dict.fromkeys(names, "")
    if not shutil.which("systemctl"):
        return properties
    command = ["systemctl", "show", *([unit] if unit else []), f"--property={','.join(names)}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return properties
    return properties | dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)


def _has_secret(settings: Settings, context: DoctorContext) -> bool:
    in_file = context.loaded.file.get("mqtt", {})
    return (
        (isinstance(in_file, dict) and bool(in_file.get("password")))
        or bool(context.loaded.file.get("api", {}).get("keys"))
        or bool(context.loaded.file.get("page", {}).get("token"))
        or any(camera.source.has_credentials for camera in settings.cameras)
    )
