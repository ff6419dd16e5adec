"""Whether the time can be trusted enough to judge what has expired.

A clock in the past makes every expired signature look good, so nothing is installed before the clock is known to be
right; what runs already goes on.
"""

from __future__ import annotations

import time

from edge import board
from edge.errors import ClockError
from edge.sync.ledger import Ledger

BUILT = 1793491200.0
"""2026-11-01: this code is not older"""
TIME = "time"
"""the latest time at which a signed timestamp was good"""


def ensure(ledger: Ledger, trusted: bool = False) -> float:
    """The time, seconds since the epoch. Raises ClockError while it cannot be trusted."""
    now, floor = time.time(), max(BUILT, float(ledger.get(TIME, 0.0)))
    if now < floor:
        raise ClockError(
            f"the clock says {_day(now)}, and it was {_day(floor)} before: it cannot be right",
            "wait for the time to be synchronised (timedatectl status), or set the clock",
        )
    if not trusted and board.clock() != "synced":
        raise ClockError(
            "the clock is not synchronised yet: nothing is installed before it is",
            "wait, check timedatectl status, or set sync.trust_clock where the board has an RTC",
        )
    return now


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))
