"""Notifications to systemd over the datagram socket of ``$NOTIFY_SOCKET``; none where it is not set.

Protocol: sd_notify(3), newline-separated ``KEY=value`` in one datagram; a leading ``@`` is an abstract socket.
"""

from __future__ import annotations

import os
import socket
import threading
import time

START_SECONDS = 180
"""that a start or a reload may take without a notification; ``extend_start_timeout`` extends it"""


def notify(**fields: str | int) -> bool:
    """Send fields such as ``READY=1`` or ``STATUS="..."``. False without a receiver."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    message = "\n".join(f"{key}={value}" for key, value in fields.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), f"\0{address[1:]}" if address[0] == "@" else address)
        except OSError:
            return False
    return True


def starting() -> bool:
    """A start begins. After a reload or an exec systemd's watchdog runs already and is not fed yet: extend it."""
    if watchdog_seconds() is None:
        return False
    return notify(WATCHDOG_USEC=START_SECONDS * 1_000_000)


def extend_start_timeout(seconds: float = 60) -> bool:
    """Extend the start timeout by ``seconds``, whatever TimeoutStartSec is.

    Only from the main thread, which does nothing but wait once the daemon is ready: what another thread does in the
    background is not the start.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    return notify(EXTEND_TIMEOUT_USEC=int(seconds * 1_000_000), WATCHDOG=1)


def ready(status: str) -> bool:
    watched = watchdog_seconds()
    again = {} if watched is None else {"WATCHDOG_USEC": round(watched * 1e6)}
    return notify(READY=1, STATUS=status, **again)


def status(text: str) -> bool:
    return notify(STATUS=text)


def alive() -> bool:
    return notify(WATCHDOG=1)


def trigger_watchdog() -> bool:
    """A thread hangs permanently: trigger systemd's watchdog now."""
    return notify(WATCHDOG="trigger")


def stopping() -> bool:
    return notify(STOPPING=1, STATUS="stopping")


def reloading() -> bool:
    """A reload begins; ``ready`` ends it. systemd 253 waits for ever without the time."""
    return notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


def watchdog_seconds() -> float | None:
    """How often systemd wants ``alive`` at the latest, seconds; None where it does not watch this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) > 0 else None
