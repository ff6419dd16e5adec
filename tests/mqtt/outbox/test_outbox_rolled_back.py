"""A file that goes back in time: restored from a backup, or a disk that had not written what it said it had."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from rigs.events import an_event
from rigs.hub import Hub
from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.core.settings.messaging import MqttSettings, OutboxSettings
from edge.mqtt.client import of_device
from edge.mqtt.delivery import Delivery
from edge.mqtt.outbox.outbox import Outbox
from edge.mqtt.outbox.store import LIFE, Batch, NewRow, OutboxStore

NOW = OutboxSettings(commit_seconds=0)


def put(path: Path, *tracks: str) -> set[tuple[int, int]]:
    """One start, in which these tracks are seen; the keys of what it put."""
    outbox = Outbox(path, NOW)
    before = outbox.last
    for track in tracks:
        outbox.put([an_event("new", track), an_event("end", track)])
    keys = {item.key for item in outbox.read(before, 100)}
    outbox.close()
    return keys


def test_no_key_comes_twice_from_a_file_that_was_put_back(tmp_path: Path) -> None:
    path, backup = tmp_path / "outbox.db", tmp_path / "backup.db"
    put(path, "1-1")
    shutil.copy(path, backup)
    lost = put(path, "2-1", "2-2")
    shutil.copy(backup, path)
    after = put(path, "2-1", "2-2")
    assert len(lost) == len(after) == 4
    assert not lost & after


def test_a_hub_has_every_event_of_a_device_whose_disk_went_back(broker: Mosquitto, tmp_path: Path) -> None:
    mqtt = MqttSettings(host="127.0.0.1", port=broker.port, reconnect_seconds=0.3, acknowledge="hub")
    hub = Hub(mqtt)
    path, backup = tmp_path / "outbox.db", tmp_path / "backup.db"

    def run(*tracks: str) -> None:
        outbox = Outbox(path, NOW)
        client = of_device(mqtt, "porch", outbox.session)
        delivery = Delivery(outbox, client, "porch", "hub")
        client.start()
        delivery.start()
        for track in tracks:
            outbox.put([an_event("new", track), an_event("end", track)])
        assert eventually(lambda: outbox.stats().waiting == 0)
        delivery.stop()
        client.stop(1.0)
        outbox.close()

    try:
        run("first")
        shutil.copy(path, backup)
        run("second")
        shutil.copy(backup, path)
        run("third")
        assert eventually(lambda: len(hub.events) == 6)
        assert [(one.track, one.type) for one in hub.events] == [
            (track, kind) for track in ("first", "second", "third") for kind in ("new", "end")
        ]
    finally:
        hub.stop()


def test_what_waited_in_a_backup_leaves_by_a_mark_that_lies_past_all_that_the_backup_has(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    (epoch,) = {epoch for epoch, _ in put(path, "1-1")}
    outbox = Outbox(path, NOW)
    outbox.put([an_event("new", "2-1")])
    assert not outbox.passed(outbox.epoch, 1000), "of this start nothing can be known that was not sent"
    assert outbox.passed(epoch, 1000)
    assert eventually(lambda: outbox.stats().waiting == 1)
    assert [item.event.track for item in outbox.read(0, 10)] == ["2-1"]
    outbox.close()


def test_what_waits_from_earlier_starts_leaves_under_the_keys_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    first, second = put(path, "1-1"), put(path, "2-1")
    outbox = Outbox(path, NOW)
    outbox.put([an_event("new", "3-1")])
    items = outbox.read(0, 10)
    assert {item.key for item in items[:4]} == first | second
    assert len({item.epoch for item in items}) == 3
    # each start is a chain of its own: nothing of it is missing before its first event
    assert [item.after for item in items] == [0, 1, 0, 3, 0]
    outbox.done([items[0].key])
    assert outbox.passed(items[3].epoch, items[3].seq)
    assert eventually(lambda: outbox.stats().waiting == 2)
    assert [item.key for item in outbox.read(0, 10)] == [items[1].key, items[4].key]
    outbox.close()


def test_what_was_delivered_is_found_without_reading_all_that_waits(tmp_path: Path) -> None:
    """Thousands that wait, and a few that came from memory to another place: each answer reads a few rows."""

    def row(epoch: int = 0, seq: int = 0) -> NewRow:
        return NewRow(an_event("new"), LIFE, "{}", epoch=epoch, seq=seq)

    store = OutboxStore(tmp_path / "outbox.db", 64 << 20, 0)
    store.write(Batch([row() for _ in range(3000)]))
    store.write(Batch([row(7, 1 + number) for number in range(50)]))
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    store._db.set_progress_handler(count, 100)
    store.write(Batch(done={(7, 1 + number) for number in range(40)}))
    store.write(Batch(passed={7: 50}))
    assert store.waiting == 3000
    assert steps < 200  # of 100 instructions each: a look at all that waits takes 300 of them for each event
    store.close()
    plain = sqlite3.connect(tmp_path / "outbox.db")
    assert plain.execute("SELECT count(*) FROM events WHERE epoch = 7").fetchone() == (0,)
    plain.close()
