"""What comes from the broker, read: events by their key, and documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StrictInt

from edge.core import settings
from edge.core.errors import InputError
from edge.hub.store import Arrived
from edge.mqtt.messages import Farewells, Info, Reported, Stats, Status, WireEvent, parse
from edge.mqtt.topics import Address

KINDS: dict[str, type[Status | Info | Stats | Reported | Farewells]] = {
    "status": Status,
    "info": Info,
    "stats": Stats,
    "reported": Reported,
    "forgotten": Farewells,
}
"""documents: the latest of each device is kept; who was forgotten is acted on"""


@dataclass(frozen=True, slots=True)
class Key:
    """What must be right in an event that can otherwise not be read, so that it is kept as it is."""

    device: Annotated[str, Field(pattern=settings.DEVICE_NAME)]
    epoch: Annotated[StrictInt, Field(ge=1, lt=2**31)]
    seq: Annotated[StrictInt, Field(ge=1, le=2**53)]
    after: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None


def event_of(address: Address, payload: bytes) -> Arrived:
    """The event, or its key alone. Raises InputError for one that its topic does not vouch for."""
    event: WireEvent | None = None
    problem = ""
    try:
        event = parse(WireEvent, payload)
        key = Key(event.device, event.epoch, event.seq, event.after)
    except InputError as error:
        problem, key = error.message, parse(Key, payload)
    if key.device != address.device or (event and event.camera != address.name):
        # the broker's ACL vouches for the topic, nobody for what is written inside
        raise InputError(f"the event says that it is of {key.device}", "look for a stolen or misconfigured device")
    text = payload.decode("utf-8", "replace")
    return Arrived(key.device, key.epoch, key.seq, key.after, text, event, problem)
