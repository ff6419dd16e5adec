"""Signatures that expire soon, and the commands that renew them; shared by hub and device."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

EXPIRY = "expiry"
"""key in the update state: role -> seconds since the epoch of its expiry"""
DAY = 86400.0
WARNING_DAYS = {"root": 60, "targets": 60, "snapshot": 60, "deploy": 60, "timestamp": 10}
"""days before expiry; the timestamp is valid for 30 days and renewed daily"""
REMEDIES = {
    "root": "run 'edge hub refresh --keys FOLDER' at the hub, with the folder of the offline keys",
    "targets": "run 'edge hub refresh --keys FOLDER' at the hub, with the folder of the offline keys",
    "snapshot": "run 'edge hub refresh' at the hub, each day, from a timer",
    "deploy": "run 'edge hub refresh' at the hub, each day, from a timer",
    "timestamp": "run 'edge hub refresh' at the hub, each day, from a timer",
}


@dataclass(frozen=True, slots=True)
class RoleExpiry:
    """When the signature of a role of the repository expires."""

    role: str
    expires: float
    """seconds since the epoch"""

    @property
    def day(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self.expires))

    @property
    def remedy(self) -> str:
        return REMEDIES[self.role]

    def text(self, now: float | None = None) -> str:
        """As text: ``root expires on 2027-11-30, in 59 days``."""
        days = int((self.expires - (time.time() if now is None else now)) // DAY)
        if days < 0:
            return f"{self.role} expired on {self.day}: devices refuse every new release"
        return f"{self.role} expires on {self.day}, in {days} days"


def expiring(expiries: Mapping[str, float], now: float | None = None) -> list[RoleExpiry]:
    """Roles (name -> seconds since the epoch) within ``WARNING_DAYS`` of their expiry or past it, earliest first."""
    moment = time.time() if now is None else now
    found = [RoleExpiry(role, expires) for role, expires in expiries.items() if role in WARNING_DAYS]
    soon = [one for one in found if one.expires - moment < WARNING_DAYS[one.role] * DAY]
    return sorted(soon, key=lambda one: one.expires)


def seconds(moment: str) -> float:
    """Seconds since the epoch of ``expires`` in TUF metadata. Raises ValueError."""
    return datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
