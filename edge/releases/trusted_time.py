"""Whether the clock is reliable enough to check expiry.

A clock in the past makes expired signatures look valid, so nothing is installed before the clock is known to be
right; what runs already goes on.
"""

from __future__ import annotations

import time

from edge.core.errors import ClockError
from edge.core.system import hardware
from edge.core.system.trusted_time import BUILT
from edge.releases.update_state import SIGNED as TIME
from edge.releases.update_state import UpdateState

SIGNED = "signed_at"
"""in the hub's timestamp metadata: seconds since the epoch at which it was signed"""


def ensure(updates: UpdateState, trusted: bool = False) -> float:
    """The time, seconds since the epoch. Raises ClockError while it cannot be trusted."""
    now, floor = time.time(), max(BUILT, float(updates.get(TIME, 0.0)))
    if now < floor:
        raise ClockError(
            f"the clock says {_day(now)}, and what is here was signed at {_day(floor)}: it cannot be right",
            "wait for the time to be synchronized (timedatectl status), or set the clock",
        )
    if not trusted and hardware.clock() != "synced":
        raise ClockError(
            "the clock is not synchronized yet: nothing is installed before it is",
            "wait, check timedatectl status, or set sync.trust_clock where the board has an RTC",
        )
    return now


def remember(updates: UpdateState, signed: object) -> None:
    """It is not earlier than ``signed``, when the hub signed what was just verified; whole seconds since the epoch.

    Our own clock says nothing here: had it ever been ahead, the right time would count as wrong from then on.
    """
    if type(signed) is int:
        updates.put({TIME: max(min(float(signed), time.time()), float(updates.get(TIME, 0.0)))})


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))
