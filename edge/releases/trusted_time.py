"""Whether the clock is reliable enough to check expiry.

With a clock in the past, expired signatures look valid. Nothing is therefore installed before the clock is known to be
right; the active release keeps running.
"""

from __future__ import annotations

import time

from edge.core.errors import ClockError
from edge.core.system import hardware
from edge.core.system.trusted_time import BUILT
from edge.releases.update_state import SIGNED as TIME
from edge.releases.update_state import UpdateState

SIGNED = "signed_at"
"""key in the hub's timestamp metadata: signing time in seconds since the epoch"""


def ensure(updates: UpdateState, trusted: bool = False) -> float:
    """The current time in seconds since the epoch. Raises ClockError while it cannot be trusted."""
    now, floor = time.time(), max(BUILT, float(updates.get(TIME, 0.0)))
    if now < floor:
        raise ClockError(
            f"the clock shows {_day(now)}, but verified metadata was signed at {_day(floor)}: the clock is wrong",
            "wait for the time to be synchronized (timedatectl status), or set the clock",
        )
    if not trusted and hardware.clock() != "synced":
        raise ClockError(
            "the clock is not synchronized yet: nothing is installed until then",
            "wait, check timedatectl status, or set sync.trust_clock where the board has an RTC",
        )
    return now


def remember(updates: UpdateState, signed: object) -> None:
    """Record ``signed``, the signing time of verified metadata (seconds since the epoch), as a lower bound of the time.

    The device's clock is not recorded: if it had been ahead once, the right time would be rejected from then on.
    """
    if type(signed) is int:
        updates.put({TIME: max(min(float(signed), time.time()), float(updates.get(TIME, 0.0)))})


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))
