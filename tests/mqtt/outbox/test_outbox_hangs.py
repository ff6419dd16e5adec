"""A hanging disk: statistics of the outbox are answered anyway."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rigs.events import an_event
from rigs.waiting import eventually

from edge.core.settings.messaging import OutboxSettings as Settings
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.outbox.store import OutboxStore


def test_stats_do_not_wait_for_a_write_that_hangs_and_the_writer_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, let_go = threading.Event(), threading.Event()
    write = OutboxStore.write

    def hangs(self: OutboxStore, batch: Any) -> Any:
        entered.set()
        let_go.wait(60)
        return write(self, batch)

    outbox = Outbox(tmp_path / "outbox.sqlite", Settings())
    monkeypatch.setattr(OutboxStore, "write", hangs)
    outbox.put([an_event("new")])
    assert entered.wait(10)

    assert outbox.stats().state == "ok"
    assert outbox.pulse.silent(time.monotonic() + 60) >= 60
    let_go.set()
    assert eventually(lambda: outbox.stats().waiting == 1)
    outbox.close()
    assert outbox.pulse.silent(time.monotonic() + 60) == 0
