"""A hub whose page shows the review questions of two devices, over a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from rigs.fleet_page import ServedHub, served_hub
from rigs.sharing_device import SharingDevice, sharing_device, write_key

from edge.hub.page import fleet_cache
from edge.hub.review import exchanger


@dataclass
class ReviewFleet:
    """A hub with its page, and two devices that share their review questions with it."""

    hub: ServedHub
    porch: SharingDevice
    hall: SharingDevice
    headers: dict[str, str] = field(default_factory=dict)
    """of requests to the page"""

    def report(self, **counts: dict[str, int]) -> None:
        """The devices report; by default what their queues have."""
        for one in (self.porch, self.hall):
            stats = {"review": counts.get(one.name, one.shared.counts())}
            self.hub.told({one.name: {"status": {"online": True, "session": 1}, "stats": stats}})

    def questions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hub.get("/page/review", **self.headers)["questions"]
        return found

    def answer(self, number: int, answer: str, **more: Any) -> dict[str, Any]:
        answers = [{"id": number, "answer": answer, **more}]
        _, said = self.hub.post("/page/review/answers", {"answers": answers}, **self.headers)
        outcome: dict[str, Any] = said["outcomes"][0]
        return outcome

    def undo(self, number: int) -> dict[str, Any]:
        _, said = self.hub.post("/page/review/undo", {"ids": [number]}, **self.headers)
        outcome: dict[str, Any] = said["outcomes"][0]
        return outcome


@contextmanager
def review_fleet(folder: Path, port: int, **sections: Any) -> Iterator[ReviewFleet]:
    """The devices porch and hall at the broker on ``port``, and their hub; ``sections`` are settings of the hub."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(exchanger, "PAUSE", 0.2))
        stack.enter_context(mock.patch.object(fleet_cache, "REFRESH", 0.2))
        devices = [stack.enter_context(sharing_device(folder, name, port)) for name in ("porch", "hall")]
        where = {"repository": folder / "hub", "page_port": 0, "key": write_key(folder)}
        mqtt = {"host": "127.0.0.1", "port": port, "reconnect_seconds": 0.3}
        hub = stack.enter_context(served_hub(folder, hub=where, mqtt=mqtt, **sections))
        yield ReviewFleet(hub, *devices)
