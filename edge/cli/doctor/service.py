"""The configuration as it lies on disk, and the service as systemd sees it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator

from edge.api.http.listener import refuse_open_door
from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.settings.schema import Settings
from edge.pipeline.health import SHEDS

SHOWN = ("LoadState", "ActiveState", "SubState", "NRestarts", "Result", "WatchdogUSec", "StatusText")
INSTALL = "sudo scripts/install in a checkout of this repository, or install the Debian package"


def configuration(context: DoctorContext) -> Iterator[Finding]:
    """The file was read before: whether it is private, and whether what it turns on is installed and may be.

    Raises SettingsError where the daemon would refuse to begin.
    """
    path, settings = context.loaded.path, context.settings
    if path is None:
        yield Finding(
            Level.NOTE, "configuration", "no file: everything is at its default", "", "write /etc/edge/edge.toml"
        )
    else:
        if path.stat().st_mode & 0o004 and _has_secret(settings, context):
            yield Finding(
                Level.WARNING, "configuration", f"{path} holds a password and everybody may read it", "",
                f"chmod 640 {path}, or put the password into a credential",
            )  # fmt: skip
        yield Finding(Level.OK, "configuration", f"{path} is right")
    if settings.api.enabled and importlib.util.find_spec("uvicorn") is None:
        yield Finding(
            Level.ERROR, "configuration", "api.enabled is set, and the Python package uvicorn is not here",
            "the daemon cannot serve the endpoint", "pip install 'rekognition-edge[api]'",
        )  # fmt: skip
    if settings.api.enabled:
        refuse_open_door(settings.api)


def service(context: DoctorContext) -> Iterator[Finding]:
    """Whether the unit runs, and whether it had to be started again."""
    shown = _shown(context.unit)
    if shown.get("LoadState") != "loaded":
        words = f"runs (process {context.daemon})" if context.daemon else "does not run"
        yield Finding(Level.NOTE, "service", f"the daemon {words}, not as a service", "", INSTALL)
        return
    active = f"{shown.get('ActiveState')} ({shown.get('SubState')})"
    restarts = int(shown.get("NRestarts", "0") or 0)
    if shown.get("ActiveState") not in ("active", "reloading"):
        yield Finding(
            Level.ERROR, "service", f"{context.unit} is {active}", f"its last end: {shown.get('Result')}",
            f"journalctl -u {context.unit} -n 50, then systemctl restart {context.unit}",
        )  # fmt: skip
    elif restarts:
        yield Finding(
            Level.WARNING, "service", f"{context.unit} was started again {restarts} time{'s' * (restarts > 1)}",
            "it ended by itself, or hung and was ended", f"journalctl -u {context.unit} -p warning",
        )  # fmt: skip
    elif SHEDS in shown.get("StatusText", ""):
        yield Finding(
            Level.WARNING, "service", f"the daemon {SHEDS}{shown['StatusText'].partition(SHEDS)[2]}",
            "the board is hot, badly supplied, or cannot keep up", "cool it, or ask less: cameras.fps, smaller models",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "service", f"{context.unit} is {active}: {shown.get('StatusText', '')}".rstrip(": "))


def watchdog(context: DoctorContext) -> Iterator[Finding]:
    """Whether systemd watches the daemon, and the hardware watches systemd."""
    shown = _shown(context.unit)
    if shown.get("LoadState") != "loaded":
        return
    if shown.get("WatchdogUSec", "0") in ("0", "", "infinity"):
        yield Finding(
            Level.WARNING, "watchdog", f"{context.unit} has no WatchdogSec", "a daemon that hangs is not started again",
            "install the unit of systemd/edge.service",
        )  # fmt: skip
    if _shown("")["RuntimeWatchdogUSec"] in ("0", "", "infinity"):
        yield Finding(
            Level.NOTE, "watchdog", "the board's own watchdog is off", "a kernel that hangs stays so",
            "set RuntimeWatchdogSec=15 in /etc/systemd/system.conf",
        )  # fmt: skip


def _shown(unit: str) -> dict[str, str]:
    """What systemd says of a unit, or of itself for none; empty strings where there is no systemd."""
    names = SHOWN if unit else ("RuntimeWatchdogUSec",)
    said = dict.fromkeys(names, "")
    if not shutil.which("systemctl"):
        return said
    command = ["systemctl", "show", *([unit] if unit else []), f"--property={','.join(names)}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return said
    return said | dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)


def _has_secret(settings: Settings, context: DoctorContext) -> bool:
    in_file = context.loaded.file.get("mqtt", {})
    return (
        (isinstance(in_file, dict) and bool(in_file.get("password")))
        or bool(context.loaded.file.get("api", {}).get("keys"))
        or bool(context.loaded.file.get("page", {}).get("token"))
        or any(camera.source.has_credentials for camera in settings.cameras)
    )
