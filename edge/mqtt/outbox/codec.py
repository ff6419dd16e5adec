"""An event as text for the outbox file; reads rows of older and newer releases as far as they go."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from edge.core.types import Box, CustomLabel, Event, Identity, IdentityState

EVENT_FIELDS = {field.name for field in dataclasses.fields(Event)}
IDENTITY_FIELDS = {field.name for field in dataclasses.fields(Identity)}


def dump(event: Event) -> str:
    """One line of JSON. Raises ValueError for numbers that are not finite."""
    return json.dumps(dataclasses.asdict(event), allow_nan=False, separators=(",", ":"))


def load(text: str) -> Event:
    """The event of ``dump``. Raises ValueError where the text is not one."""
    try:
        values: dict[str, Any] = json.loads(text)
        identity = {name: value for name, value in values.pop("identity").items() if name in IDENTITY_FIELDS}
        identity["state"] = IdentityState(identity["state"])
        box = Box(**values.pop("box"))
        known = {name: value for name, value in values.items() if name in EVENT_FIELDS}
        known["zones"] = tuple(known["zones"])
        if "custom_labels" in known:
            known["custom_labels"] = tuple(CustomLabel(**one) for one in known["custom_labels"])
        return Event(box=box, identity=Identity(**identity), **known)
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not an event of the outbox: {error!r}") from error
