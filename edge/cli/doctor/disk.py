"""Checks of the state folder, its disk, and the outbox."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.storage import files
from edge.core.storage.layout import OUTBOX as OUTBOX_FILE
from edge.core.storage.layout import STATE_FILES, StateLayout
from edge.core.storage.repair import damage
from edge.core.storage.sqlite import check, connect_read_only
from edge.mqtt.outbox.store import FILE as OUTBOX

SLOW = 1.0
"""seconds; longest normal duration of a small durable write"""
CHECKED_BYTES = 64 << 20
WAITED = 600.0
"""seconds after which an undelivered event is reported"""


def state(context: DoctorContext) -> Iterator[Finding]:
    """Check that the state folder exists, and is private and writable."""
    folder = context.state
    if not folder.is_dir():
        yield Finding(
            Level.NOTE,
            "state",
            f"{folder} does not exist yet",
            "the daemon has not run yet",
            "run edge, or check 'state'",
        )
        return
    if mode := folder.stat().st_mode & 0o077:
        yield Finding(
            Level.WARNING, "state", f"{folder} is open to other users (mode {mode:03o} for group and others)",
            "it contains faces", f"chmod 700 {folder}",
        )  # fmt: skip
    probe, began = folder / f".doctor-{os.getpid()}", time.perf_counter()
    try:
        files.write_bytes(probe, b"x" * 4096)
    except OSError as error:
        yield Finding(
            Level.ERROR, "state", f"{folder} cannot be written: {error.strerror}", "nothing new is stored",
            _HINTS.get(error.errno or 0, "check the owner of the folder and the disk (dmesg)"),
        )  # fmt: skip
        return
    finally:
        with contextlib.suppress(OSError):  # a folder without search permission
            probe.unlink()
    took = time.perf_counter() - began
    if took > SLOW:
        yield Finding(
            Level.WARNING, "state", f"one small write took {took:.1f} s", "the SD card or disk is failing or worn out",
            "check dmesg, and move the state to another disk",
        )  # fmt: skip
    else:
        yield Finding(Level.OK, "state", f"{folder} is writable; a durable write takes {1e3 * took:.0f} ms")


def state_files(context: DoctorContext) -> Iterator[Finding]:
    """Check for damaged files in the state folder, and those that were set aside."""
    layout = StateLayout(context.state)
    for file in STATE_FILES:
        if file is OUTBOX_FILE:
            continue
        if why := damage(layout.path(file), file):
            yield Finding(
                Level.ERROR, "state", f"{layout.path(file)} ({file.holds}) is damaged: {why}",
                "the daemon sets it aside at its next start", f"restart the daemon; then {file.way_out}",
            )  # fmt: skip
    for file, aside in layout.set_aside():
        yield Finding(
            Level.WARNING, "state", f"{file.name} ({file.holds}) was damaged and is set aside as {aside.name}",
            file.damaged, f"{file.way_out}; then rm -r {aside}, and check the disk (dmesg)",
        )  # fmt: skip


def space(context: DoctorContext) -> Iterator[Finding]:
    """Check free space, compared with the reserve of the outbox."""
    folder = next(path for path in (context.state, *context.state.parents) if path.is_dir())
    found = os.statvfs(folder)
    free, nodes = found.f_bavail * found.f_frsize, found.f_favail
    needed = context.settings.outbox.reserve_bytes
    if free < needed or (found.f_files and nodes < 100):
        yield Finding(
            Level.ERROR, "disk", f"{free >> 20} MiB and {nodes} files are free below {folder}",
            f"the outbox leaves {needed >> 20} MiB free and stops growing there", "free some space on the disk",
        )  # fmt: skip
    elif free < 4 * needed:
        yield Finding(
            Level.WARNING, "disk", f"{free >> 20} MiB are free below {folder}", "space is low", "free some space"
        )
    else:
        yield Finding(Level.OK, "disk", f"{free >> 20} MiB are free below {folder}")


def outbox(context: DoctorContext) -> Iterator[Finding]:
    """Check that the outbox is intact, and that events are delivered."""
    path = context.state / OUTBOX
    if not path.exists():
        return
    try:
        waiting, oldest, lost = _read(path)
    except sqlite3.Error as error:
        yield Finding(
            Level.ERROR, "outbox", f"{path} is damaged or cannot be read: {error}", "events that waited in it are lost",
            "nothing: the daemon sets it aside at its next start and begins a new one; check the disk (dmesg)",
        )  # fmt: skip
        return
    age = time.time() - oldest if waiting else 0.0
    if lost:
        yield Finding(
            Level.WARNING, "outbox", f"{lost} events were dropped since the outbox was created",
            "the outbox or the disk was full", "check that the broker is reachable; raise outbox.max_bytes",
        )  # fmt: skip
    if age > WAITED and context.settings.mqtt.host:
        by = "hub" if context.settings.mqtt.acknowledge == "hub" else "broker"
        yield Finding(
            Level.WARNING, "outbox", f"{waiting} events wait, the oldest for {age / 3600:.1f} h",
            f"the {by} has not acknowledged them", f"see the findings of the {by}",
        )  # fmt: skip
    elif not lost:
        yield Finding(Level.OK, "outbox", f"{waiting} events wait")


def _read(path: Path) -> tuple[int, float, int]:
    """(pending events, time of the oldest in seconds since the epoch, lost events). Raises sqlite3.Error."""
    with closing(connect_read_only(path, timeout=2.0)) as db:
        if path.stat().st_size <= CHECKED_BYTES:
            check(db)
        waiting, oldest = db.execute("SELECT count(*), min(time) FROM events").fetchone()
        lost = db.execute("SELECT value FROM meta WHERE key = 'lost'").fetchone()
        return int(waiting), float(oldest or 0.0), int(lost[0]) if lost else 0


_HINTS = {
    30: "mount the file system rw; a card that becomes read-only is worn out",  # EROFS
    28: "free some space on the disk",  # ENOSPC
    13: "run as the daemon's user (sudo -u edge), or change the owner of the folder (chown)",  # EACCES
}
